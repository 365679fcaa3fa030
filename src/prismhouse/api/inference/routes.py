"""`POST /v1/inference`, and the test of an extractor."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request

from prismhouse.api.inference.schemas import RawInference, TestExtractor
from prismhouse.api.inference.service import Inference, Trials
from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.body import body_of, body_schema
from prismhouse.api.web.caller import Callers, NamespaceCaller
from prismhouse.api.web.gone import unless_gone

__all__ = ["routes"]


def routes(inference: Inference, trials: Trials, callers: Callers) -> APIRouter:
    """Return the routes. A client that goes away ends what it asked for."""
    router = APIRouter()

    @router.post(
        "/v1/inference",
        operation_id="execute_raw_inference",
        tags=["Inference"],
        summary="Ask a model directly",
        openapi_extra=body_schema(RawInference),
    )
    async def infer(
        request: Request,
        caller: NamespaceCaller = Depends(callers.namespace("read")),
        body: RawInference = Depends(body_of(RawInference)),
    ) -> Answer:
        return answer(await unless_gone(request, inference.answer(caller.scope, body)))

    @router.post(
        "/v1/extractors/{extractor_id}/test",
        operation_id="test_extractor",
        tags=["Extractors"],
        summary="Try an extractor on a sample; nothing is stored",
        openapi_extra=body_schema(TestExtractor),
    )
    async def test(
        request: Request,
        extractor_id: str,
        caller: NamespaceCaller = Depends(callers.namespace("read")),
        body: TestExtractor = Depends(body_of(TestExtractor)),
    ) -> Answer:
        return answer(await unless_gone(request, trials.run(caller.scope, extractor_id, body)))

    return router

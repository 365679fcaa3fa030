"""Submitted extractors over HTTP. Routes of the organization."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request

from prismhouse.api.archives.schemas import ConfirmArchive
from prismhouse.api.submissions.schemas import CreateSubmission
from prismhouse.api.submissions.service import CONTENT_TYPE, Submissions
from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.body import body_of, body_schema
from prismhouse.api.web.caller import Caller, Callers
from prismhouse.api.web.paging import MAX_LIMIT, page_of
from prismhouse.kit.clock import iso

__all__ = ["routes"]

_ALL = "/v1/extractors/submissions"
_TAGS: list[Any] = ["Extractors"]


def routes(service: Submissions, callers: Callers) -> APIRouter:
    """Return the routes of submissions."""
    router = APIRouter()

    @router.post(
        f"{_ALL}/uploads",
        operation_id="generate_upload_url_extractors_submissions",
        tags=_TAGS,
        summary="Get a presigned URL for an extractor's archive",
        openapi_extra=body_schema(CreateSubmission),
    )
    async def create_upload(
        caller: Caller = Depends(callers.administrator()),
        body: CreateSubmission = Depends(body_of(CreateSubmission)),
    ) -> Answer:
        issued, version = await service.issue(caller, body)
        return answer(
            {
                "submission_id": issued.upload_id,
                "presigned_url": issued.presigned_url,
                "s3_key": issued.s3_key,
                "required_content_type": CONTENT_TYPE,
                "expires_at": iso(issued.expires_at),
                "name": body.name,
                "version": version,
            }
        )

    @router.post(
        f"{_ALL}/uploads/{{submission_id}}/confirm",
        operation_id="confirm_submission_extractors_uploads",
        tags=_TAGS,
        summary="Confirm an extractor's upload",
        openapi_extra=body_schema(ConfirmArchive, required=False),
    )
    async def confirm_upload(
        submission_id: str,
        caller: Caller = Depends(callers.administrator()),
        body: ConfirmArchive = Depends(body_of(ConfirmArchive)),
    ) -> Answer:
        return answer(dict(await service.confirm(caller, submission_id, body)))

    @router.get(
        _ALL, operation_id="list_submissions_extractors", tags=_TAGS, summary="List the extractors that were sent in"
    )
    async def list_submissions(
        request: Request, status: str | None = None, caller: Caller = Depends(callers.organization("read"))
    ) -> Answer:
        found, total = await service.list(caller, status, page_of(request, default_limit=MAX_LIMIT))
        return answer({"success": True, "submissions": found, "total": total})

    @router.get(
        f"{_ALL}/{{submission_id}}",
        operation_id="get_submission_extractors",
        tags=_TAGS,
        summary="Get an extractor that was sent in",
    )
    async def get_submission(submission_id: str, caller: Caller = Depends(callers.organization("read"))) -> Answer:
        return answer({"success": True, "submission": await service.read(caller, submission_id)})

    return router

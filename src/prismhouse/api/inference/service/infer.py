"""Ask a model directly: which one is meant, and who answers for it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prismhouse.api.inference.errors import FileRejected, ModelNotServed
from prismhouse.api.inference.model import HERE, Inputs, Selection, inputs_of, select
from prismhouse.api.inference.schemas import RawInference
from prismhouse.api.inference.service.asked import Asked, Told, check_inputs, check_parameters
from prismhouse.api.inference.service.room import Call, Room, size_of
from prismhouse.api.inference.service.seen import Seen
from prismhouse.api.inference.service.trial import Samples
from prismhouse.api.inference.service.vectors import Vectors
from prismhouse.api.inference.service.writing import Writers
from prismhouse.api.inference.service.written import Written
from prismhouse.api.models.service import Lender
from prismhouse.api.web.caller import Scope
from prismhouse.engine.extractors.catalogue import Catalogue
from prismhouse.engine.extractors.port import ExtractorRecord
from prismhouse.engine.inference.entry import ModelEntry
from prismhouse.engine.inference.lent import lending, lent_entries
from prismhouse.engine.inference.registry import all_models
from prismhouse.engine.inference.writers import TASK as GENERATION
from prismhouse.kit.errors import Invalid, field_fault

__all__ = ["Inference"]

_NAMED = "embedding_model"
_DELTA = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """Answers with what a model says. Texts and pictures become vectors here, with the models of queries; everything
    else is done in a process that can be killed.
    """

    catalogue: Catalogue
    samples: Samples
    vectors: Vectors
    written: Written
    seen: Seen
    writers: Writers
    room: Room
    most_texts: int
    models: Lender | None = None

    async def answer(self, scope: Scope, body: RawInference) -> dict[str, Any]:
        """Return `data`, the provider and model that gave it, and how long it took.

        Raises:
            SelectorInvalid, ProviderUnknown, ModelNotServed, FeatureNotServed: no model is meant.
            Invalid, FileRejected, URLRefused, URLUnreachable: the inputs or parameters do not fit.
            ModelWarming: the model is being loaded.
            ModelMissing, ModelDamaged, ExtraMissing: it cannot be.
            InferenceLost, InferenceTimedOut, InferenceBusy: not now.
        """
        started = time.perf_counter()
        chosen = await self._chosen(scope, body)
        inputs = inputs_of(body.inputs, most_texts=self.most_texts)
        with self.room.call(str(scope.namespace_id)) as call, call.hold(size_of(body.inputs)):
            if chosen.entry is None:
                told = await self._by_extractor(scope, chosen, inputs, body.parameters or {}, call)
            else:
                told = await self._by_model(self._asked(scope, chosen.entry, inputs, body, call))
        return {
            "data": told.data,
            "provider": chosen.provider,
            "model": chosen.model,
            "tokens_used": None,
            "latency_ms": round((time.perf_counter() - started) * 1000, 3),
            "cached": told.cached,
        }

    async def _chosen(self, scope: Scope, body: RawInference) -> Selection:
        """Return the model that is meant: one that all know, or one that the namespace has deployed."""
        try:
            return select(body, all_models(), self.catalogue.all())
        except ModelNotServed:
            if self.models is None or body.inference_name is None:
                raise
            try:
                found, lent = await self.models.resolved(scope.namespace_id, {_NAMED: body.inference_name})
            except Invalid as error:
                message = error.details["validation_errors"][0]["message"]
                raise Invalid([field_fault(["body", "inference_name"], message, "model_not_deployed")]) from error
            with lending(lent):
                if (entry := lent_entries().get(str(found[_NAMED]))) is None:
                    raise
            return Selection(provider=HERE, model=entry.name, entry=entry)

    def _asked(self, scope: Scope, entry: ModelEntry, inputs: Inputs, body: RawInference, call: Call) -> Asked:
        """Return the request with its inputs and parameters held against the model's task."""
        check_inputs(entry, inputs)
        given = body.parameters or {}
        parameters = self.writers.parameters(given) if entry.task == GENERATION else check_parameters(entry, given)
        delta = body.cache_delta if body.cache_delta is not None else _DELTA
        return Asked(
            scope=scope,
            call=call,
            entry=entry,
            inputs=inputs,
            parameters=parameters,
            delta=delta if body.enable_semantic_cache else None,
        )

    async def _by_model(self, asked: Asked) -> Told:
        if asked.entry.task == GENERATION:
            return await self.written.answer(asked)
        if asked.inputs.file is not None:
            return await self.seen.answer(asked, asked.inputs.file)
        return await self.vectors.answer(asked)

    async def _by_extractor(
        self, scope: Scope, chosen: Selection, inputs: Inputs, parameters: Mapping[str, Any], call: Call
    ) -> Told:
        """Return the vectors that a custom extractor makes of the inputs: of each text, or of the file."""
        assert chosen.extractor is not None and chosen.output is not None  # noqa: S101, PT018 - else there is an entry
        record, name = chosen.extractor, chosen.output.name
        results = await self.samples.run(scope, record, parameters, _samples(record, inputs), call=call)
        rows: list[Any] = []
        for result in results:
            if result.failure is not None:
                key = inputs.file.key if inputs.file else "texts" if inputs.is_many else "text"
                raise FileRejected(key=key, reason=result.failure.message)
            vectors = [one.vectors[name].tolist() for one in result.documents if name in one.vectors]
            rows.append(vectors[0] if len(vectors) == 1 else vectors)
        return Told(rows if inputs.is_many else rows[0])


def _samples(record: ExtractorRecord, inputs: Inputs) -> list[Mapping[str, Any]]:
    if inputs.file is None:
        name = _input_for(record, ("text", "string"), "text")
        return [{name: {"text": text}} for text in inputs.texts]
    if inputs.texts:
        message = f"{record.extractor_id} is asked about texts or about a file: send one of them."
        raise Invalid([field_fault(["body", "inputs"], message)])
    source = "url" if inputs.file.is_url else "base64"
    return [{_input_for(record, (inputs.file.kind,), inputs.file.kind): {source: inputs.file.value}}]


def _input_for(record: ExtractorRecord, kinds: Sequence[str], what: str) -> str:
    """Return the name of the extractor's input that takes these kinds."""
    for name, accepted in record.input_types.items():
        if any(kind in accepted for kind in kinds):
            return name
    message = f"{record.extractor_id} reads no {what}; its inputs are {', '.join(record.input_types)}."
    raise Invalid([field_fault(["body", "inputs"], message)])

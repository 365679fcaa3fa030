"""Try an extractor on a sample: what a batch would make of it, without one. Nothing is stored."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Protocol

from prismhouse.api.batches.service.extract import Extracted
from prismhouse.api.inference.schemas import TestExtractor
from prismhouse.api.inference.service.room import Call, Room, size_of
from prismhouse.api.inference.service.sources import Sent, Sources
from prismhouse.api.models.service import Lender
from prismhouse.api.web.caller import Scope
from prismhouse.engine.extractors.catalogue import Catalogue
from prismhouse.engine.extractors.port import ExtractedDocument, ExtractorRecord, Part, Row, RowFailure, RowResult
from prismhouse.engine.inference.lent import LentModel, lending
from prismhouse.engine.media.sniff import sniff
from prismhouse.kit.errors import FieldFault, Invalid, field_fault
from prismhouse.kit.ids import NamespaceId

__all__ = ["Extract", "Samples", "Trials"]

_ARTIFACT_BYTES = 256 * 1024
_HEAD_BYTES = 8192
_MOST_VALUES = 16
_TEXTS = frozenset({"text", "string"})
_FORMS = ("text", "url", "base64", "value")
_BESIDE = frozenset({"filename"})
_URL = re.compile(r"(?i)https?://\S+")


class Extract(Protocol):
    """Runs rows as the jobs of a batch do, with the same limits and the same failures."""

    async def __call__(
        self, namespace_id: NamespaceId, extractor_id: str, parameters: Mapping[str, Any], rows: Sequence[Row]
    ) -> Mapping[str, Extracted]:
        """Return what became of each row, by row id."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Turns what a request brings into rows, and runs them."""

    catalogue: Catalogue
    extract: Extract
    sources: Sources
    models: Lender | None = None

    async def run(
        self,
        scope: Scope,
        record: ExtractorRecord,
        parameters: Mapping[str, Any],
        samples: Sequence[Mapping[str, Any]],
        *,
        call: Call,
    ) -> list[RowResult]:
        """Return what becomes of each sample, in order; raise Invalid for parameters or inputs that do not fit."""
        chosen, _ = await self.chosen(scope, record, parameters)
        async with AsyncExitStack() as files:
            rows = [
                Row(row_id=f"sample {number}", inputs=await self._inputs(files, record, sample, call))
                for number, sample in enumerate(samples)
            ]
            made = await self.extract(scope.namespace_id, record.extractor_id, chosen, rows)
        return [made[row.row_id].result for row in rows]

    async def chosen(
        self, scope: Scope, record: ExtractorRecord, parameters: Mapping[str, Any]
    ) -> tuple[dict[str, Any], ExtractorRecord]:
        """Return the parameters with defaults, and the record as they have it; raise Invalid.

        A model of the namespace is named as in a collection, and told by its id.
        """
        try:
            lent: Sequence[LentModel] = ()
            if self.models is not None:
                parameters, lent = await self.models.resolved(scope.namespace_id, parameters)
            with lending(lent):
                valid = self.catalogue.validate_parameters(record, parameters)
                return valid, self.catalogue.configured(record, valid)
        except Invalid as error:
            raise Invalid([_moved(fault) for fault in error.details["validation_errors"]]) from error

    async def _inputs(
        self, files: AsyncExitStack, record: ExtractorRecord, sample: Mapping[str, Any], call: Call
    ) -> dict[str, Part | Sequence[Part]]:
        made: dict[str, Part | Sequence[Part]] = {}
        for name, value in sample.items():
            where = ["body", "inputs", name]
            kinds = record.input_types.get(name)
            if kinds is None and record.input_types:
                accepted = ", ".join(record.input_types)
                raise Invalid([field_fault(where, f"{record.extractor_id} has no such input. It has: {accepted}.")])
            values = value if isinstance(value, list) else [value]
            if not values or len(values) > _MOST_VALUES:
                raise Invalid([field_fault(where, f"Give one value, or a list of 1 to {_MOST_VALUES}.")])
            parts = [await self._part(files, one, tuple(kinds or ()), where, call) for one in values]
            made[name] = parts if isinstance(value, list) else parts[0]
        return made

    async def _part(
        self, files: AsyncExitStack, value: Any, kinds: tuple[str, ...], where: list[str], call: Call
    ) -> Part:
        form, given, filename = _form(value, kinds, where)
        if form == "text":
            return Part(type=next((kind for kind in kinds if kind in _TEXTS), "text"), text=given, filename=filename)
        if form == "value":
            return Part(type=kinds[0] if kinds else "json", value=given)
        key = ".".join(where[2:])
        source = (
            self.sources.of_url(given, key=key, call=call) if form == "url" else self.sources.of_base64(given, key=key)
        )
        sent = await files.enter_async_context(source)
        return _of_file(sent, kinds, name=where[-1], filename=filename)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """Tells what an extractor makes of a sample."""

    samples: Samples
    room: Room

    async def run(self, scope: Scope, extractor: str, body: TestExtractor) -> dict[str, Any]:
        """Return the documents, and by name what failed, was skipped or was left out.

        A sample that fails is an answer, as it would be a failed row of a batch: too large, damaged, too slow, or the
        end of its process.

        Raises:
            ExtractorNotFound, ExtractorBroken: there is no such extractor, or it cannot be loaded.
            Invalid, FileRejected, URLRefused, URLUnreachable: the inputs or parameters do not fit.
            ModelMissing, ModelDamaged, ExtraMissing: it cannot run here.
            InferenceBusy: not now.
        """
        started = time.perf_counter()
        record = self.samples.catalogue.by_id(extractor)
        with self.room.call(str(scope.namespace_id)) as call, call.hold(size_of(body.inputs)):
            parameters, record = await self.samples.chosen(scope, record, body.parameters)
            (result,) = await self.samples.run(scope, record, body.parameters, [body.inputs], call=call)
        told = [_document(record, one, with_vectors=body.return_vectors) for one in result.documents[: body.limit]]
        failures = [result.failure] if result.failure else [*result.partial_failures]
        return {
            "feature_extractor_id": record.extractor_id,
            "feature_extractor_name": record.name,
            "version": record.version,
            "parameters": parameters,
            "status": _status(result),
            "documents": told,
            "document_count": len(result.documents),
            "failures": [_failure(one) for one in failures],
            "skipped_reason": result.skipped,
            "dropped": {kind: dict(reasons) for kind, reasons in result.dropped.items()},
            "latency_ms": round((time.perf_counter() - started) * 1000, 3),
        }


def _form(value: Any, kinds: tuple[str, ...], where: list[str]) -> tuple[str, Any, str | None]:
    """Return in which form a value was given, the value itself and its file's name."""
    takes_text = not kinds or bool(_TEXTS.intersection(kinds))
    if isinstance(value, dict):
        forms = [name for name in _FORMS if name in value]
        unknown = set(value) - set(_FORMS) - _BESIDE
        is_fit = len(forms) == 1 and not unknown and (forms[0] == "value" or isinstance(value[forms[0]], str))
        if not is_fit or not isinstance(value.get("filename", ""), str):
            raise Invalid([field_fault(where, f"Give exactly one of {', '.join(_FORMS)}, and `filename` beside it.")])
        form, given = forms[0], value[forms[0]]
        if form == "text" and not takes_text:
            raise Invalid([field_fault(where, f"Takes {' or '.join(kinds)}, no text: give `url` or `base64`.")])
        return form, given, value.get("filename")
    if isinstance(value, str):
        if takes_text:
            return "text", value, None
        if _URL.fullmatch(value.strip()):
            return "url", value.strip(), None
        if value.startswith("data:"):
            return "base64", value, None
        raise Invalid([field_fault(where, f"Takes {' or '.join(kinds)}: give a URL, a data URI, or `base64`.")])
    return "value", value, None


def _of_file(sent: Sent, kinds: tuple[str, ...], *, name: str, filename: str | None) -> Part:
    """Return the part; where an input takes several kinds of files, the file says which it is."""
    with sent.path.open("rb") as file:
        found = sniff(file.read(_HEAD_BYTES))
    kind = found.kind if found.kind in kinds else next(iter(kinds), found.kind)
    return Part(
        type=kind,
        path=sent.path,
        mime_type=found.mime,
        filename=filename or sent.filename,
        blob_id=name,
        size_bytes=sent.size_bytes,
    )


def _moved(fault: Mapping[str, Any]) -> FieldFault:
    """Return a fault of `body.feature_extractor.parameters` where this request has it."""
    location = [part for part in fault["location"] if part != "feature_extractor"]
    return field_fault(location, fault["message"], fault["type"])


def _status(result: RowResult) -> str:
    if result.failure is not None:
        return "failed"
    if not result.documents:
        return "skipped"
    return "partial" if result.partial_failures else "succeeded"


def _failure(failure: RowFailure) -> dict[str, Any]:
    return {
        "stage": failure.stage,
        "code": failure.code,
        "message": failure.message,
        "error_type": str(failure.error_type),
        "missing_feature": failure.missing_feature,
    }


def _document(record: ExtractorRecord, document: ExtractedDocument, *, with_vectors: bool) -> dict[str, Any]:
    addresses = {output.name: record.feature_uri(output) for output in record.vector_outputs}
    vectors = {addresses.get(name, name): vector.tolist() for name, vector in document.vectors.items()}
    return {
        "position": dict(zip(record.position_fields, document.position, strict=False)),
        "fields": dict(document.fields),
        "vectors": vectors if with_vectors else {},
        "vector_dimensions": {name: len(vector) for name, vector in vectors.items()},
        "artifacts": [
            {
                "field": one.field,
                "role": one.role,
                "type": one.type,
                "content_type": one.content_type,
                "filename": one.filename,
                "size_bytes": len(one.data),
                "base64": base64.b64encode(one.data).decode() if len(one.data) <= _ARTIFACT_BYTES else None,
            }
            for one in document.artifacts
        ],
    }

"""What a draft would do if it were submitted now: counted on the real objects, nothing is run."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any

from prismhouse.api.batches.model import BatchRow, BatchStatus
from prismhouse.api.batches.reports import store as reports
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.submit import BatchNotDraft, NothingToProcess, plan
from prismhouse.api.batches.service.tiers import sources_of
from prismhouse.engine.extractors.port import ExtractorRecord
from prismhouse.engine.inference.registry import listed
from prismhouse.engine.pipeline.amounts import credits_of
from prismhouse.engine.pipeline.rows import strip_path
from prismhouse.storage.postgres.database import NamespaceWriter

__all__ = ["estimate"]

_CREDIT_USD = 0.001
_CHARACTERS_PER_TOKEN = 4


async def estimate(parts: Parts, tx: NamespaceWriter, batch: BatchRow) -> dict[str, Any]:
    """Return counts, credits and warnings of a draft, and begin its waiting time anew; raise BatchNotDraft."""
    if batch.status is not BatchStatus.DRAFT:
        raise BatchNotDraft(batch_id=batch.batch_id, status=batch.status.value, verb="estimated")
    await reports.touch(tx, batch.batch_id)
    warnings: list[str] = [] if batch.object_count else ["The batch has no objects: it cannot be submitted."]
    try:
        tiers, rows = await plan(parts, tx, batch)
    except NothingToProcess as error:
        return {**_shown(batch), "warnings": [*warnings, error.message]}
    names = [name for tier in tiers for name in tier]
    spent, objects = 0.0, set[str]()
    for name in tiers[0]:
        collection = rows[name]
        record = parts.catalogue.get(collection.extractor_name, collection.extractor_version)
        ids, counts = await sources_of(parts, tx, batch, collection)
        objects.update(ids)
        if counts.fetched and not counts.after_filter:
            warnings.append(f"None of the objects passes the source_filters of {collection.name}.")
        units, told = await _units(tx, collection, record, ids)
        spent += credits_of(record, units)
        warnings += told
    warnings += await _missing_models(parts, [rows[name] for name in names])
    if len(tiers) > 1:
        later = ", ".join(rows[name].name for tier in tiers[1:] for name in tier)
        warnings.append(f"What {later} will read is not made yet; credits of later tiers are not counted.")
    already = await reports.extracted(tx, batch.batch_id, tiers[0]) if batch.type != "COLLECTION" else 0
    again = already if batch.dedup_strategy != "skip" else 0
    everything = await reports.content(tx, sorted(objects), None)
    return {
        **_shown(batch),
        "collection_ids": names,
        "already_extracted_count": already,
        "estimated_credits": math.ceil(round(spent, 6)),
        "estimated_usd": round(math.ceil(round(spent, 6)) * _CREDIT_USD, 6),
        "estimated_repay_credits": math.ceil(round(spent * again / len(objects), 6)) if objects and again else 0,
        "features": sorted({uri for name in names for uri in _features(parts, rows[name])}),
        "extractors": sorted({rows[name].extractor_id for name in names}),
        "content_summary": {
            "objects_to_process": len(objects),
            "blobs": {
                row["type"]: {"count": row["number"], "size_bytes": int(row["size_bytes"])} for row in everything
            },
        },
        "documents_to_remove": await reports.stored(tx, batch.batch_id, names)
        if batch.dedup_strategy == "replace"
        else None,
        "warnings": warnings,
    }


def _shown(batch: BatchRow) -> dict[str, Any]:
    return {
        "batch_id": batch.batch_id,
        "collection_ids": batch.requested_collections,
        "dedup_strategy": batch.dedup_strategy,
        "object_count": batch.object_count,
        "already_extracted_count": 0,
        "estimated_credits": 0,
        "estimated_usd": 0.0,
        "estimated_repay_credits": 0,
        "features": [],
        "extractors": [],
        "content_summary": None,
        "documents_to_remove": None,
        "warnings": [],
    }


async def _units(
    tx: NamespaceWriter, collection: Any, record: ExtractorRecord, ids: Sequence[str]
) -> tuple[dict[str, float], list[str]]:
    """Return the units that the objects have for an extractor, and what they lack."""
    warnings: list[str] = []
    required = [name for name in record.input_schema.get("required", ()) if name not in collection.input_mappings]
    if required:
        warnings.append(f"{collection.name}: the inputs {', '.join(required)} are mapped to no field.")
    held: list[Mapping[str, Any]] = []
    if collection.source_type == "bucket" and ids:
        for name, paths in collection.input_mappings.items():
            properties = [strip_path(path).split(".")[0] for path in paths]
            found = await reports.content(tx, ids, properties)
            having = max((row["objects"] for row in found), default=0)
            if having < len(ids):
                lacking = len(ids) - having
                warnings.append(f"{collection.name}: {lacking} of {len(ids)} objects may lack the input {name}.")
            held += found
    return _counted(record, held, rows=len(ids), warnings=warnings), warnings


def _counted(
    record: ExtractorRecord, held: Sequence[Mapping[str, Any]], *, rows: int, warnings: list[str]
) -> dict[str, float]:
    units: dict[str, float] = {}
    files = {"image", "pdf", "audio", "video"}
    for rate in (record.costs or {}).get("rates", ()):
        unit = str(rate["unit"])
        if unit in {"image", "page"}:
            units[unit] = sum(row["number"] for row in held if row["type"] in {"image", "pdf"})
            if any(row["type"] == "pdf" for row in held):
                warnings.append("Each PDF is counted as one page: how many it has is seen when it is read.")
        elif unit == "1k_tokens":
            sizes = (int(row["characters"] or row["size_bytes"]) for row in held if row["type"] not in files)
            units[unit] = sum(sizes) / _CHARACTERS_PER_TOKEN / 1000
        elif "minute" in unit or "second" in unit:
            if any(row["type"] in {"audio", "video"} for row in held):
                warnings.append("Audio and video are not counted: how long they are is seen when they are read.")
        else:
            units[unit] = rows
    return units


async def _missing_models(parts: Parts, collections: Sequence[Any]) -> list[str]:
    wanted: dict[str, list[str]] = {}
    for collection in collections:
        record = parts.catalogue.get(collection.extractor_name, collection.extractor_version)
        chosen = collection.parameters.get("embedding_model")
        for model in {chosen} if isinstance(chosen, str) else {output.model for output in record.vector_outputs}:
            wanted.setdefault(model, []).append(collection.name)
    known = {model.name: model for model in await asyncio.to_thread(listed)}
    return [
        f"{', '.join(names)}: the model {model} cannot run here. {known[model].problem or ''}".strip()
        for model, names in sorted(wanted.items())
        if model in known and not known[model].installed
    ]


def _features(parts: Parts, collection: Any) -> list[str]:
    record = parts.catalogue.get(collection.extractor_name, collection.extractor_version)
    return [record.feature_uri(output) for output in record.vector_outputs]

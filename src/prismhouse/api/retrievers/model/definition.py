"""A stored retriever and the shape it is answered in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prismhouse.kit.clock import iso
from prismhouse.kit.ids import RetrieverId
from prismhouse.query.definition import StageSpec

__all__ = ["Retriever", "dependencies_of", "fusion_of", "retriever_answer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retriever:
    """`definition` holds everything but names, versions and times, as it is answered."""

    retriever_id: RetrieverId
    name: str
    version: int
    definition: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    created_by: str | None
    updated_by: str | None

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Retriever:
        """Return the retriever for a record of the table."""
        return cls(
            retriever_id=RetrieverId(record["retriever_id"]),
            name=record["retriever_name"],
            version=record["version"],
            definition=record["definition"],
            created_at=record["created_at"],
            updated_at=record["updated_at"],
            created_by=record["created_by"],
            updated_by=record["updated_by"],
        )


def retriever_answer(retriever: Retriever) -> dict[str, Any]:
    """Return the retriever as the API shows it."""
    definition = dict(retriever.definition)
    stages = [{**stage, "parameters": stage["config"]["parameters"]} for stage in definition.pop("stages")]
    collection_ids = definition.pop("collection_ids")
    return {
        "retriever_id": retriever.retriever_id,
        "retriever_name": retriever.name,
        "collection_ids": collection_ids,
        "collection_identifiers": collection_ids,
        "stages": stages,
        **definition,
        "version": retriever.version,
        "is_published": False,
        "created_at": iso(retriever.created_at),
        "updated_at": iso(retriever.updated_at),
        "created_by": retriever.created_by,
        "updated_by": retriever.updated_by,
    }


def fusion_of(stages: Sequence[StageSpec]) -> str | None:
    """Return the fusion of the first search, or None without one."""
    for spec in stages:
        if spec.record.stage_id == "feature_search":
            return str(spec.raw.get("fusion", "rrf"))
    return None


def dependencies_of(stages: Sequence[StageSpec]) -> list[dict[str, Any]]:
    """Return the feature addresses that searches name, without repeats."""
    found: dict[str, dict[str, Any]] = {}
    for spec in stages:
        for search in spec.raw.get("searches") or ():
            uri = search.get("feature_uri")
            if isinstance(uri, str) and "@" in uri and "{{" not in uri:
                extractor, _, rest = uri.removeprefix("mixpeek://").partition("@")
                version, _, output = rest.partition("/")
                found[uri] = {
                    "scheme": "mixpeek",
                    "extractor": extractor,
                    "version": version,
                    "output": output or None,
                }
    return list(found.values())

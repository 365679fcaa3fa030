"""A stored collection."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prismhouse.kit import json
from prismhouse.kit.ids import CollectionId

__all__ = ["CollectionRow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionRow:
    """A collection with everything resolved: a batch can be planned from it without asking again.

    `input_mappings` holds, per extractor input, paths into the source. `field_passthrough` entries have the keys
    source_path, target_path, default and required. `field_map` projects the fields of one source before mapping.
    """

    collection_id: CollectionId
    name: str
    description: str | None
    source_type: str
    source_ids: tuple[str, ...]
    source_filters: Mapping[str, Any] | None
    field_map: Mapping[str, Sequence[Mapping[str, Any]]]
    extractor_name: str
    extractor_version: str
    extractor_id: str
    parameters: Mapping[str, Any]
    input_mappings: Mapping[str, Sequence[str]]
    field_passthrough: Sequence[Mapping[str, Any]]
    include_all_source_fields: bool
    vector_indexes: Sequence[Mapping[str, Any]]
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any]
    source: Mapping[str, Any]
    feature_extractor: Mapping[str, Any]
    metadata: Mapping[str, Any]
    config: Mapping[str, Any]
    enabled: bool
    disabled_reason: Mapping[str, Any] | None
    schema_version: int
    created_at: datetime
    updated_at: datetime

    @property
    def index_signature(self) -> str:
        """The same text as long as documents get the same features: readers who keep results see by it when not."""
        features = [
            [index.get("feature_uri"), (index.get("index") or {}).get("dimensions")] for index in self.vector_indexes
        ]
        return hashlib.sha256(json.dumps([self.extractor_id, sorted(features, key=str)])).hexdigest()[:16]

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> CollectionRow:
        """Return the row for a record of the `collections` table."""
        extractor, source = record["feature_extractor"], record["source"]
        return cls(
            collection_id=record["collection_id"],
            name=record["collection_name"],
            description=record["description"],
            source_type=source["type"],
            source_ids=tuple(record["source_ids"]),
            source_filters=(source.get("source_filters") or {}).get("filters"),
            field_map=source.get("field_map") or {},
            extractor_name=extractor["feature_extractor_name"],
            extractor_version=extractor["version"],
            extractor_id=extractor["feature_extractor_id"],
            parameters=extractor["parameters"],
            input_mappings={
                name: (paths,) if isinstance(paths, str) else tuple(paths)
                for name, paths in extractor["input_mappings"].items()
            },
            field_passthrough=extractor["field_passthrough"],
            include_all_source_fields=extractor["include_all_source_fields"],
            vector_indexes=record["vector_indexes"],
            input_schema=record["input_schema"],
            output_schema=record["output_schema"],
            source=source,
            feature_extractor=extractor,
            metadata=record["metadata"],
            config=record["config"],
            enabled=record["enabled"],
            disabled_reason=record["disabled_reason"],
            schema_version=record["schema_version"],
            created_at=record["created_at"],
            updated_at=record["updated_at"],
        )

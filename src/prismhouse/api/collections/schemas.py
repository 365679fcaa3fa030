"""What goes over the wire for collections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from prismhouse.api.collections.model import CollectionRow
from prismhouse.api.web.body import RequestModel
from prismhouse.api.web.paging import PagingKeys
from prismhouse.engine.extractors.port import ExtractorRecord
from prismhouse.kit.clock import iso
from prismhouse.kit.errors import Invalid, field_fault

__all__ = [
    "CloneCollection",
    "CreateCollection",
    "ExtractorChoice",
    "ListCollections",
    "Passthrough",
    "Source",
    "UpdateCollection",
    "collection_answer",
    "extractor_answer",
    "features_answer",
    "menu_answer",
]

Name = Annotated[str, Field(min_length=3, max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]
FreeForm = dict[str, Any]


class Passthrough(RequestModel):
    """One field to copy from the source to the document."""

    source_path: str = Field(min_length=1)
    target_path: str | None = None
    default: Any = None
    required: bool = False


class SourceFilters(RequestModel):
    """Which objects of the source are processed."""

    filters: FreeForm | None = None


class Source(RequestModel):
    """Where a collection's input comes from."""

    type: Literal["bucket", "collection"]
    bucket_ids: list[str] | None = Field(None, min_length=1)
    bucket_id: str | None = None
    collection_id: str | None = None
    collection_ids: list[str] | None = Field(None, min_length=1)
    source_namespace_id: str | None = None
    inherited_bucket_ids: list[str] | None = None
    source_filters: SourceFilters | None = None
    field_map: dict[str, list[Passthrough | str]] | None = None

    def identifiers(self, namespace_id: str) -> list[str]:
        """Return the ids or names of the sources, without repeats; raise Invalid unless they are of one kind."""
        buckets = [*(self.bucket_ids or ()), *([self.bucket_id] if self.bucket_id else ())]
        collections = [*(self.collection_ids or ()), *([self.collection_id] if self.collection_id else ())]
        wanted, other = (buckets, collections) if self.type == "bucket" else (collections, buckets)
        key = "bucket_ids" if self.type == "bucket" else "collection_ids"
        if other:
            message = f"A source of type {self.type} takes `{key}` only."
            raise Invalid([field_fault(["body", "source"], message)])
        if not wanted:
            raise Invalid([field_fault(["body", "source", key], f"A source of type {self.type} needs `{key}`.")])
        if self.source_namespace_id and (self.type == "collection" or self.source_namespace_id != namespace_id):
            message = "Sources in another namespace are not supported by this version."
            raise Invalid([field_fault(["body", "source", "source_namespace_id"], message, "unsupported")])
        return list(dict.fromkeys(wanted))

    def field_map_entries(self) -> dict[str, list[FreeForm | str]]:
        """Return `field_map` with plain values."""
        return {name: _plain(entries) for name, entries in (self.field_map or {}).items()}


class ExtractorChoice(BaseModel):
    """The extractor of a collection, and how it is fed. Other keys are tolerated and named in `warnings`."""

    model_config = ConfigDict(extra="allow")

    feature_extractor_name: str
    version: str
    parameters: FreeForm | None = None
    params: FreeForm | None = None
    input_mappings: FreeForm | list[FreeForm] | None = None
    field_passthrough: list[Passthrough | str] | None = None
    include_all_source_fields: bool = False

    @model_validator(mode="before")
    @classmethod
    def _split_id(cls, given: Any) -> Any:
        """Accept `feature_extractor_id` (`name_version`) where name and version are missing."""
        identifier = given.get("feature_extractor_id") if isinstance(given, dict) else None
        if isinstance(identifier, str) and "feature_extractor_name" not in given:
            name, _, version = identifier.rpartition("_")
            return {**given, "feature_extractor_name": name, "version": given.get("version", version)}
        return given

    def passthrough_entries(self) -> list[FreeForm | str]:
        """Return `field_passthrough` with plain values."""
        return _plain(self.field_passthrough or ())


def _plain(entries: Sequence[Passthrough | str]) -> list[FreeForm | str]:
    return [entry if isinstance(entry, str) else entry.model_dump() for entry in entries]


class _Applications(RequestModel):
    """Keys of later stages of the pipeline: kept as they are given."""

    schedule: FreeForm | None = None
    taxonomy_applications: list[FreeForm] | None = None
    cluster_applications: list[FreeForm] | None = None
    alert_applications: list[FreeForm] | None = None
    retriever_enrichments: list[FreeForm] | None = None
    document_schema: FreeForm | None = None
    schema_validation: Literal["strict", "warn", "off"] | None = None
    schema_sync_enabled: bool | None = None
    tiering: FreeForm | None = None
    index_map: dict[str, str] | None = None

    def stored_config(self) -> FreeForm:
        """Return the keys that were given, for the `config` column."""
        names = set(_Applications.model_fields) | {"embedding_task"}
        return self.model_dump(include=names, exclude_unset=True)


class CreateCollection(_Applications):
    """Body of POST /v1/collections."""

    collection_name: Name
    description: str | None = None
    source: Source
    input_schema: FreeForm | None = None
    feature_extractor: ExtractorChoice | None = None
    feature_extractors: list[ExtractorChoice] | None = None
    features: list[str] | None = None
    retriever_transform: FreeForm | None = None
    enabled: bool = True
    metadata: FreeForm | None = None
    embedding_task: (
        Literal["retrieval_document", "retrieval_query", "semantic_similarity", "classification", "clustering"] | None
    ) = None


class UpdateCollection(_Applications):
    """Body of PATCH /v1/collections/{id}: only the given keys change."""

    collection_name: Name | None = None
    description: str | None = None
    enabled: bool | None = None
    metadata: FreeForm | None = None
    retriever_transform: FreeForm | None = None
    source: Any = None
    feature_extractor: Any = None
    feature_extractors: Any = None
    features: Any = None
    input_schema: Any = None
    tiering_rules: Any = None


class CloneCollection(RequestModel):
    """Body of POST /v1/collections/{id}/clone."""

    collection_name: Name
    description: str | None = None
    source: Source | None = None
    feature_extractor: ExtractorChoice | None = None
    enabled: bool | None = None
    metadata: FreeForm | None = None
    taxonomy_applications: list[FreeForm] | None = None


class Sort(RequestModel):
    """One sort key."""

    field: str
    direction: Literal["asc", "desc"] = "asc"


class ListCollections(PagingKeys, RequestModel):
    """Body of POST /v1/collections/list."""

    filters: FreeForm | None = None
    sort: Sort | None = None
    sorts: list[Sort] | None = None
    search: str | None = None
    include_system: bool = False
    case_sensitive: bool = False


def collection_answer(row: CollectionRow, documents: int) -> FreeForm:
    """Return a CollectionResponse."""
    config = row.config
    extractor = dict(row.feature_extractor)
    extractor["parameters"] = {"extractor_type": row.extractor_name, **extractor["parameters"]}
    return {
        "collection_id": row.collection_id,
        "collection_name": row.name,
        "description": row.description,
        "input_schema": row.input_schema,
        "output_schema": row.output_schema,
        "feature_extractor": extractor,
        "source": row.source,
        "source_bucket_schemas": config.get("source_bucket_schemas"),
        "source_lineage": config.get("source_lineage", []),
        "index_map": config.get("index_map"),
        "vector_indexes": row.vector_indexes,
        "payload_indexes": [],
        "embedding_task": config.get("embedding_task"),
        "enabled": row.enabled,
        "disabled_reason": row.disabled_reason,
        "metadata": row.metadata,
        "schedule": config.get("schedule"),
        "trigger_id": None,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "lifecycle_state": "active",
        "last_lifecycle_transition": None,
        "tiering_rules": None,
        "tiering": config.get("tiering"),
        "document_count": documents,
        "vector_count": documents * len(row.vector_indexes),
        "schema_version": row.schema_version,
        "last_schema_sync": None,
        "schema_sync_enabled": config.get("schema_sync_enabled", True),
        "document_schema": config.get("document_schema"),
        "schema_validation": config.get("schema_validation") or "off",
        "taxonomy_applications": config.get("taxonomy_applications"),
        "cluster_applications": config.get("cluster_applications"),
        "alert_applications": config.get("alert_applications"),
        "retriever_enrichments": config.get("retriever_enrichments"),
        "retriever_transform": None,
        "taxonomy_count": len(config.get("taxonomy_applications") or ()),
        "retriever_count": len(config.get("retriever_enrichments") or ()),
        "indexing_status": "quiesced",
        "indexing_status_scoped": True,
        "warnings": config.get("warnings") or None,
    }


def features_answer(row: CollectionRow) -> FreeForm:
    """Return a DescribeCollectionFeaturesResponse."""
    return {
        "features": [
            {
                "feature_uri": index["feature_uri"],
                "feature_address": index["feature_uri"],
                "feature_extractor_name": row.extractor_name,
                "version": row.extractor_version,
                "vector_index": _index_answer(index),
                "primary": position == 0,
            }
            for position, index in enumerate(row.vector_indexes)
        ]
    }


def _index_answer(index: Mapping[str, Any]) -> FreeForm:
    inner = index["index"]
    return {
        "name": inner["name"],
        "description": f"Vectors of {inner['inference_name']}, {inner['dimensions']} dimensions.",
        "dimensions": inner["dimensions"],
        "type": inner.get("type", "dense"),
        "distance": inner["distance"],
        "datatype": inner.get("datatype", "float32"),
        "supported_inputs": inner.get("supported_inputs"),
        "inference_name": inner["inference_name"],
    }


def extractor_answer(record: ExtractorRecord) -> FreeForm:
    """Return a FeatureExtractorResponseModel."""
    types = list(dict.fromkeys(kind for kinds in record.input_types.values() for kind in kinds))
    outputs = sorted(record.vector_outputs, key=lambda output: not output.primary)
    return {
        "feature_extractor_name": record.name,
        "version": record.version,
        "feature_extractor_id": record.extractor_id,
        "description": record.description,
        "icon": record.icon,
        "category": record.category,
        "source": "builtin",
        "type_mode": record.type_mode,
        "expected_input_types": {name: kinds[0] for name, kinds in record.input_types.items() if kinds} or None,
        "inference_type": record.inference_type,
        "input_schema": record.input_schema,
        "output_schema": record.output_schema,
        "parameter_schema": record.parameter_schema,
        "supported_input_types": types,
        "max_inputs": record.max_inputs,
        "default_parameters": record.default_parameters,
        "costs": record.costs,
        "required_vector_indexes": [
            {
                "name": output.storage_name,
                "description": f"Vectors of {output.name}, {output.dimensions} dimensions.",
                "feature_uri": record.feature_uri(output),
                "type": "single",
                "index": {
                    "name": output.storage_name,
                    "description": f"Vectors of {output.name}, {output.dimensions} dimensions.",
                    "dimensions": output.dimensions,
                    "type": "dense",
                    "distance": output.distance,
                    "datatype": "float32",
                    "supported_inputs": list(output.query_modalities),
                    "inference_name": output.name,
                },
            }
            for output in outputs
        ],
        "required_payload_indexes": [],
        "position_fields": list(record.position_fields),
        "feature_uri": record.feature_uri(outputs[0]) if outputs else None,
        "capabilities": ["batch", "realtime"] if outputs else ["batch"],
        "example_usage": record.example_usage,
        "realtime_available": bool(outputs),
    }


def menu_answer(features: Sequence[tuple[str, ExtractorRecord]]) -> FreeForm:
    """Return a FeatureDiscoveryResponse: features by the file type they search."""
    by_modality: dict[str, list[FreeForm]] = {}
    for key, record in features:
        entry = {
            "key": key,
            "description": record.description,
            "feature_extractor_id": record.extractor_id,
            "rate": 0,
        }
        for kind in dict.fromkeys(kind for kinds in record.input_types.values() for kind in kinds):
            by_modality.setdefault(kind, []).append(entry)
    modalities = [{"modality": kind, "features": entries} for kind, entries in by_modality.items()]
    return {"modalities": modalities, "custom_features": [], "full_res_multiplier": 1.0}

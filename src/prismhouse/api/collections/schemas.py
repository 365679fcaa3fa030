"""What goes over the wire for collections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from prismhouse.api.web.body import RequestModel
from prismhouse.api.web.paging import PagingKeys
from prismhouse.kit.errors import Invalid, field_fault

__all__ = [
    "NO_EFFECT",
    "CloneCollection",
    "CreateCollection",
    "ExtractorChoice",
    "ListCollections",
    "Passthrough",
    "Source",
    "UpdateCollection",
    "unserved_warnings",
]

Name = Annotated[str, Field(min_length=3, max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]
FreeForm = dict[str, Any]
NO_EFFECT = " is kept but has no effect in this version."
_UNSERVED = (
    "schedule",
    "taxonomy_applications",
    "cluster_applications",
    "alert_applications",
    "retriever_enrichments",
    "tiering",
)


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


def unserved_warnings(config: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each stored key that is kept but has no effect."""
    named = [name for name in _UNSERVED if config.get(name)]
    if config.get("schema_validation") in {"strict", "warn"}:
        named.append("schema_validation")
    return [name + NO_EFFECT for name in named]


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

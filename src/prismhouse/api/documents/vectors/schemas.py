"""Bodies of requests about vectors that users bring."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator

from prismhouse.api.namespaces.schemas import Identifier, Metric, PayloadIndex, VectorConfig, VectorName
from prismhouse.api.web.body import RequestModel

__all__ = ["CreateStandalone", "DocumentLists", "Promotion", "UpsertDocument", "UpsertDocuments"]

_ID_BYTES = 512
_REFERENCE_LENGTH = 512
_NUMBERS = {"type": "array", "items": {"type": "number"}, "minItems": 1}
_VECTOR = {
    "anyOf": [
        _NUMBERS,
        {"type": "array", "items": _NUMBERS, "minItems": 1},
        {
            "type": "object",
            "properties": {
                "indices": {"type": "array", "items": {"type": "integer", "minimum": 0}},
                "values": _NUMBERS,
            },
            "required": ["indices", "values"],
        },
    ]
}


def _short(given: str) -> str:
    if len(given.encode()) > _ID_BYTES:
        raise ValueError(f"must have at most {_ID_BYTES} bytes")
    return given


DocumentKey = Annotated[str, StringConstraints(min_length=1), AfterValidator(_short)]
Reference = Annotated[str, StringConstraints(max_length=_REFERENCE_LENGTH)]
Vectors = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "additionalProperties": _VECTOR})]


class Storage(RequestModel):
    """Where the hosted service keeps vectors; here they are in the warehouse's own database."""

    connection_id: str | None = None


class CreateStandalone(RequestModel):
    """Body of creation. Without `vector_configs` each vector is declared by the first one under its name."""

    namespace_id: Identifier | None = None
    namespace_name: str | None = Field(
        None, min_length=1, max_length=128, pattern=r"^[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"
    )
    description: str | None = Field(None, max_length=5000)
    vector_configs: list[VectorConfig] | None = Field(None, max_length=100)
    payload_indexes: list[PayloadIndex] | None = Field(None, max_length=1000)
    storage: Storage | None = None
    config: dict[str, Any] | None = None
    auto_create_indexes: bool | None = None

    @model_validator(mode="after")
    def named(self) -> CreateStandalone:
        """Refuse a namespace without id and name."""
        if self.namespace_id is None and self.namespace_name is None:
            raise ValueError("give namespace_id, or namespace_name")
        return self


class DocumentLists(RequestModel):
    """Access lists of a document."""

    read: list[Annotated[str, StringConstraints(min_length=1, max_length=256)]] | None = Field(None, max_length=256)
    write: list[Annotated[str, StringConstraints(min_length=1, max_length=256)]] | None = Field(None, max_length=256)
    public: bool | None = None


class UpsertDocument(RequestModel):
    """A document. `vectors`: numbers, a list of such lists, or `{indices, values}`, by the name of their index."""

    document_id: DocumentKey
    vectors: Vectors
    payload: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    acl: DocumentLists | None = None
    source_type: Literal["bucket", "collection", "direct_upsert", "signal"] | None = None
    root_object_id: Reference | None = None
    root_bucket_id: Reference | None = None
    source_object_id: Reference | None = None
    source_document_id: Reference | None = None
    source_collection_id: Reference | None = None
    lineage_path: str | None = Field(None, max_length=2000)
    lineage_chain: list[dict[str, Any]] | None = Field(None, max_length=100)
    content_hash: Reference | None = None


class UpsertOptions(RequestModel):
    """`idempotency_key`: the same request again answers the same and writes nothing."""

    write_token: bool = False
    idempotency_key: str | None = Field(None, min_length=1, max_length=255)


class UpsertDocuments(RequestModel):
    """Body of an upsert; a `collection_id` that is not there is made."""

    collection_id: str | None = Field(None, min_length=1, max_length=100)
    documents: list[UpsertDocument] = Field(max_length=1000)
    options: UpsertOptions | None = None


class VectorMapping(RequestModel):
    """The model that made the vectors of an index, and that makes vectors of queries from now on."""

    existing_index: str = Field(min_length=1, max_length=255)
    inference_service: str = Field(min_length=1, max_length=255)


class NewVector(RequestModel):
    """One more vector index."""

    name: VectorName
    dimension: int = Field(ge=1, le=1_000_000_000)
    metric: Metric = "cosine"
    inference_service: str | None = Field(None, min_length=1, max_length=255)


class Promotion(RequestModel):
    """Body of a promotion, and of its dry run."""

    vector_mappings: list[VectorMapping] | None = Field(None, max_length=100)
    add_vectors: list[NewVector] | None = Field(None, max_length=100)

"""What a collection is, without a database: its row, its mappings, its schemas and its feature URIs."""

from prismhouse.api.collections.model.features import (
    AmbiguousFeatureURI,
    UnknownFeatureURI,
    describe_vector_indexes,
    resolve_feature_uri,
)
from prismhouse.api.collections.model.mappings import (
    PassthroughField,
    normalize_passthrough,
    resolve_input_mappings,
)
from prismhouse.api.collections.model.row import CollectionRow
from prismhouse.api.collections.model.schema import merge_schemas, output_schema

__all__ = [
    "AmbiguousFeatureURI",
    "CollectionRow",
    "PassthroughField",
    "UnknownFeatureURI",
    "describe_vector_indexes",
    "merge_schemas",
    "normalize_passthrough",
    "output_schema",
    "resolve_feature_uri",
    "resolve_input_mappings",
]

"""Feature URIs: `mixpeek://extractor@version/output`, and the short and older forms people write."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prismhouse.api.collections.model.row import CollectionRow
from prismhouse.engine.extractors.port import ExtractorRecord
from prismhouse.kit.errors import Code, WarehouseError

__all__ = [
    "FEATURE_KEYS",
    "AmbiguousFeatureURI",
    "UnknownFeatureURI",
    "describe_vector_indexes",
    "resolve_feature_uri",
    "told_inputs",
]

FEATURE_KEYS = {
    "text_search": ("text_extractor", "v1"),
    "image_search": ("image_extractor", "v1"),
    "video_search": ("multimodal_extractor", "v1"),
    "faces": ("face_identity_extractor", "v1"),
    "document_search": ("document_graph_extractor", "v1"),
}
_ADDRESS = re.compile(r"^(?:mixpeek://)?(?P<name>[^@/]+)(?:@(?P<version>[^/]+))?(?:/(?P<output>.+))?$")


class UnknownFeatureURI(WarehouseError):
    """No feature {feature_uri} in the collections searched."""

    code = Code.INVALID
    hint = "They have: {available}."


class AmbiguousFeatureURI(WarehouseError):
    """{feature_uri} fits several features."""

    code = Code.INVALID
    hint = "Name one of: {available}."


def told_inputs(kinds: Iterable[str]) -> list[str]:
    """Return what a query may be made of as the API says it: of the types of a bucket's fields, a vector is `array`."""
    return ["array" if kind == "vector" else kind for kind in kinds]


def describe_vector_indexes(record: ExtractorRecord) -> list[dict[str, Any]]:
    """Return the `vector_indexes` of a collection that uses this extractor, the primary one first."""
    return [
        {
            "name": output.storage_name,
            "feature_uri": record.feature_uri(output),
            "type": "single",
            "index": {
                "name": output.storage_name,
                "dimensions": output.dimensions,
                "distance": output.distance,
                "inference_name": output.model or output.name,
                "datatype": "float32",
                "type": "dense",
                "supported_inputs": told_inputs(output.query_modalities),
                "model": output.model,
            },
        }
        for output in sorted(record.vector_outputs, key=lambda output: not output.primary)
    ]


def resolve_feature_uri(
    collection: CollectionRow | Sequence[Mapping[str, Any]], uri: str, *, index_map: Mapping[str, str] | None = None
) -> str:
    """Return the canonical URI that `uri` stands for.

    Args:
        collection: a row, or `vector_indexes` entries (of several collections together, repeats allowed);
            within one extractor the first entry is the primary feature.
        uri: canonical; or without scheme, version or output; or ending in `embedding`, `<modality>_embedding`, a
            stored field name or the name of another model; or a stored field name alone.
        index_map: aliases of the collection; a row brings its own.

    Raises:
        UnknownFeatureURI: nothing fits; names what exists.
        AmbiguousFeatureURI: more than one fits.
    """
    indexes: Sequence[Mapping[str, Any]]
    if isinstance(collection, CollectionRow):
        indexes, index_map = collection.vector_indexes, collection.config.get("index_map") or {}
    else:
        indexes = collection
    by_uri = {str(index["feature_uri"]): index for index in indexes}
    uri = (index_map or {}).get(uri, uri)
    if uri in by_uri:
        return uri
    stored = [known for known, index in by_uri.items() if index["name"] == uri]
    address = _ADDRESS.match(uri)
    fitting = stored or (_fitting(by_uri, address) if address else [])
    available = ", ".join(by_uri) or "no features with vectors"
    if not fitting:
        raise UnknownFeatureURI(feature_uri=uri, available=available)
    if len(fitting) > 1:
        raise AmbiguousFeatureURI(feature_uri=uri, available=", ".join(fitting))
    return fitting[0]


def _fitting(by_uri: Mapping[str, Mapping[str, Any]], address: re.Match[str]) -> list[str]:
    of_version: dict[str, list[str]] = {}
    for known in by_uri:
        prefix, _, _ = known.removeprefix("mixpeek://").partition("/")
        name, _, version = prefix.partition("@")
        if name == address["name"] and address["version"] in (None, version):
            of_version.setdefault(version, []).append(known)
    return [known for outputs in of_version.values() for known in _of_extractor(by_uri, outputs, address["output"])]


def _of_extractor(by_uri: Mapping[str, Mapping[str, Any]], outputs: Sequence[str], wanted: str | None) -> Sequence[str]:
    """Return which of one extractor's features `wanted` names; the order of the rules is the order of trust."""
    if wanted is not None:
        exact = [known for known in outputs if known.partition("://")[2].partition("/")[2] == wanted]
        if exact:
            return exact
    if wanted is None or wanted == "embedding":
        return outputs[:1]
    stored = [
        known
        for known in outputs
        if by_uri[known]["name"] == wanted or str(by_uri[known]["name"]).endswith(f"_{wanted}")
    ]
    return stored or (outputs if len(outputs) == 1 else [])

"""What a search asks with: text, a vector, a stored document, or an image; made into a vector here."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import numpy as np

from prismhouse.kit.errors import Code, Invalid, WarehouseError, field_fault
from prismhouse.query.search import identifier
from prismhouse.query.stages.port import Feature, FloatArray, NotBuilt, RunContext
from prismhouse.storage.postgres.halfvec import LARGEST_VALUE

__all__ = ["EmptyQuery", "QueryModeUnsupported", "QueryVectorWrong", "is_empty", "mode_of", "text_of", "vector_of"]

_MAX_TEXT = 20_000
_MODES = "text, vector, document, content, multi_content"


class QueryModeUnsupported(WarehouseError):
    """{feature_uri} cannot be searched with {mode} queries; it takes {accepted}."""

    code = Code.INVALID
    hint = "Ask in one of these ways, or search another feature."


class QueryVectorWrong(WarehouseError):
    """The query vector for {feature_uri} {reason}."""

    code = Code.INVALID
    hint = "Send {dimensions} finite numbers, made by the model of the stored vectors."


class EmptyQuery(WarehouseError):
    """The query of {feature_uri} is empty."""

    code = Code.INVALID
    hint = "Give the input a value, or set `on_empty` to `skip` or `random`."


def mode_of(query: Any) -> tuple[str, Any]:
    """Return mode and value; a plain string is text, a plain list a vector."""
    if isinstance(query, str) or query is None:
        return "text", query or ""
    if isinstance(query, list):
        return "vector", query
    if not isinstance(query, dict):
        raise Invalid([field_fault(["body", "query"], f"must be text or {{input_mode, value}} ({_MODES})")])
    mode = query.get("input_mode") or next((m for m in ("text", "vector", "content") if m in query), "text")
    keys = {"document": ("document_ref",), "multi_content": ("values",)}.get(mode, ("value", mode))
    value = next((query[key] for key in keys if query.get(key) is not None), "")
    if mode == "content" and isinstance(value, list):
        mode = "vector"
    return mode, value


def is_empty(query: Any) -> bool:
    """Return whether there is nothing to ask with."""
    _, value = mode_of(query)
    if isinstance(value, dict):
        return not value or not value.get("document_id", "x")
    return not value.strip() if isinstance(value, str) else not value


def text_of(query: Any, feature_uri: str) -> str:
    """Return the text of a text query; raise QueryModeUnsupported."""
    mode, value = mode_of(query)
    if mode != "text":
        raise QueryModeUnsupported(feature_uri=f"lexical search on {feature_uri}", mode=mode, accepted="text")
    # U+0000 ends a text for the database; between words it means no more than a space.
    return str(value)[:_MAX_TEXT].replace("\x00", " ")


async def vector_of(query: Any, feature: Feature, context: RunContext) -> FloatArray:
    """Return the `(d,)` vector to search with."""
    mode, value = mode_of(query)
    uri = feature.index.feature_uri
    if mode == "vector":
        return _checked(value, feature)
    if mode == "document":
        return await _stored(value, feature, context)
    if mode == "text":
        if "text" not in feature.modalities:
            raise QueryModeUnsupported(feature_uri=uri, mode="text", accepted=", ".join(feature.modalities))
        _check_model(feature, context)
        vectors = await context.embedder.embed(feature.model, [str(value)[:_MAX_TEXT]])
        return np.asarray(vectors[0], np.float32)
    if mode == "content":
        return await _image(value, feature, context)
    if mode == "multi_content":
        raise QueryModeUnsupported(feature_uri=uri, mode=mode, accepted=", ".join(feature.modalities))
    raise Invalid([field_fault(["body", "query", "input_mode"], f"unknown: {mode!r}; valid: {_MODES}")])


def _checked(value: Any, feature: Feature) -> FloatArray:
    wrong = {"feature_uri": feature.index.feature_uri, "dimensions": feature.index.dimensions}
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if not isinstance(value, list) or not set(map(type, value)) <= {int, float}:
        raise QueryVectorWrong(reason="is not a list of numbers", **wrong)
    if len(value) != feature.index.dimensions:
        raise QueryVectorWrong(reason=f"has {len(value)} values", **wrong)
    vector = np.asarray(value, np.float64)
    if not np.all(np.abs(vector) <= LARGEST_VALUE):
        raise QueryVectorWrong(reason=f"has a value that is not a number within {LARGEST_VALUE:.0f}", **wrong)
    if feature.index.distance == "cosine" and not np.any(vector.astype(np.float16)):
        raise QueryVectorWrong(reason="is zero, which has no direction to compare by cosine", **wrong)
    return vector.astype(np.float32)


async def _stored(reference: Any, feature: Feature, context: RunContext) -> FloatArray:
    if not isinstance(reference, dict) or not isinstance(reference.get("document_id"), str):
        raise Invalid([field_fault(["body", "query", "document_ref"], "needs document_id and collection_id")])
    document_id = reference["document_id"].replace("\x00", "")
    row = await context.tx.fetch_one(
        f"SELECT embedding::real[] AS vector FROM {identifier(feature.index.table_name)}"
        " WHERE namespace_id = %(namespace_id)s AND document_id = %(document_id)s",
        {"document_id": document_id},
    )
    if row is None:
        message = f"document {document_id} has no vector of {feature.index.feature_uri}"
        raise Invalid([field_fault(["body", "query", "document_ref"], message)])
    return np.asarray(row["vector"], np.float32)


def _check_model(feature: Feature, context: RunContext) -> None:
    """Refuse to ask with a model that is not the one whose vectors are searched, though its name is."""
    if feature.index.model_fingerprint:
        context.embedder.check_unchanged(
            feature.model, feature.index.model_fingerprint, feature_uri=feature.index.feature_uri
        )


async def _image(value: Any, feature: Feature, context: RunContext) -> FloatArray:
    embed = getattr(context.embedder, "embed_image", None)
    if embed is None or "image" not in feature.modalities:
        accepted = ", ".join([*(m for m in feature.modalities if m == "text"), "vector", "document"])
        raise QueryModeUnsupported(feature_uri=feature.index.feature_uri, mode="content", accepted=accepted)
    _check_model(feature, context)
    if isinstance(value, dict):
        value = value.get("base64") or value.get("url") or ""
    text = str(value)
    if text.startswith(("http://", "https://", "s3://")):
        raise NotBuilt(what="A content query by URL", instead="Send the bytes as a data: URI or base64.")
    encoded = text.partition(",")[2] if text.startswith("data:") else text
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid([field_fault(["body", "query", "value"], "is not a data: URI or base64")]) from error
    return np.asarray(await embed(feature.model, data), np.float32)

"""`response_shape`: what a model is to tell of a document, as a request in words or as a JSON schema."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from prismhouse.engine.inference.port import Prompt, Style
from prismhouse.engine.media.text import storable

__all__ = ["Shape", "asked", "check_shape", "joined", "shape_fields", "stored", "style_of"]

Shape = str | dict[str, Any]
_MOST_CHARACTERS = 20_000
_MOST_KEYS = 100
_EXTRACT = "You extract data. Tell what the schema asks for, from what you are given, and invent nothing."
_TAKEN = frozenset(
    {
        "_id",
        "_internal",
        "_expanded",
        "_vectors",
        "collection_id",
        "document_blobs",
        "document_id",
        "features",
        "lineage_chain",
        "lineage_path",
        "root_bucket_id",
        "root_object_id",
        "searchable_at",
        "source_collection_id",
        "source_document_id",
        "source_object_id",
        "source_type",
        "vectors",
        "vector_hydration_incomplete",
    }
)
_RENAMED = "response_"


def check_shape(name: str, shape: Shape | None, fields: Iterable[str] | None = None) -> None:
    """Raise ValueError for a shape that no model could fill.

    Args:
        name: of the parameter.
        shape: as it is given.
        fields: that documents have anyway, where the keys of the shape come to stand beside them.
    """
    if shape is None:
        return
    if len(shape if isinstance(shape, str) else json.dumps(shape)) > _MOST_CHARACTERS:
        raise ValueError(f"{name}: is longer than {_MOST_CHARACTERS} characters.")
    if isinstance(shape, str):
        if not shape.strip():
            raise ValueError(f"{name}: is blank. Say what is wanted, give a JSON schema, or leave it out.")
        return
    properties = shape.get("properties")
    if shape.get("type", "object") != "object" or not isinstance(properties, Mapping) or not properties:
        raise ValueError(f"{name}: must be a JSON schema of type object with `properties`, or a request in words.")
    if len(properties) > _MOST_KEYS:
        raise ValueError(f"{name}: has more than {_MOST_KEYS} properties.")
    if not all(isinstance(one, Mapping | bool) for one in properties.values()):
        raise ValueError(f"{name}: each of its properties must be a JSON schema.")
    if fields is not None and (clash := sorted({*properties} & {*fields, *_TAKEN})):
        raise ValueError(f"{name}: documents have fields named {', '.join(clash)} already. Choose other names.")


def shape_fields(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what `response_shape` adds to the fields of documents, as far as a schema says it."""
    shape = parameters.get("response_shape")
    return shape["properties"] if isinstance(shape, dict) else {}


def style_of(shape: Shape, config: Mapping[str, Any] | None = None) -> Style:
    """Return how the answer is to be written; `config` is a generation_config."""
    schema = {"type": "object", **shape} if isinstance(shape, dict) else None
    given = config or {}
    return Style(
        as_object=True,
        schema=schema,
        max_tokens=given.get("max_output_tokens"),
        temperature=given.get("temperature", 0.0),
        top_p=given.get("top_p"),
    )


def asked(shape: Shape, text: str, images: tuple[bytes, ...] = ()) -> Prompt:
    """Return what the model is given."""
    instructions = shape if isinstance(shape, str) else _EXTRACT
    return Prompt(text=text or "Tell of the pictures.", instructions=instructions, images=images)


def joined(fields: Mapping[str, Any], value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields with the keys of an answer; where a name is taken, the answer's begins with `response_`."""
    told = {f"{_RENAMED}{name}" if name in fields or name in _TAKEN else name: one for name, one in value.items()}
    return {**stored(told), **fields}


def stored(value: Any) -> Any:
    """Return an answer fit to be stored: without U+0000 and lone surrogates."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {storable(str(name)): stored(one) for name, one in value.items()}
    return [stored(one) for one in value] if isinstance(value, list) else value

"""Reads the JSON object out of what a model wrote, and holds it against the schema that was asked for."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["BadAnswer", "object_in"]

_FENCED = re.compile(r"```(?:json)?[^\S\n]*\n(.*?)```", re.DOTALL)
"""Takes time in proportion to the text: writers that get stuck write empty lines by the ten thousands."""

_THOUGHT = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_DEEPEST = 32


class BadAnswer(Exception):
    """What the model wrote is not what was asked for; the text says in which way."""


def object_in(text: str, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the object; raise BadAnswer. A fence or a train of thought around it is passed over."""
    bare = _THOUGHT.sub("", text).strip()
    fenced = _FENCED.search(bare)
    try:
        found = json.loads(fenced[1] if fenced else bare)
    except (ValueError, RecursionError):
        raise BadAnswer("it is not JSON") from None
    if not isinstance(found, dict):
        raise BadAnswer("it is no JSON object")
    _check_storable(found, 0)
    if schema is not None:
        _check(found, schema, "$")
    return found


def _check_storable(value: Any, depth: int) -> None:
    if depth > _DEEPEST:
        raise BadAnswer(f"it is nested deeper than {_DEEPEST} levels")
    if isinstance(value, float) and not math.isfinite(value):
        raise BadAnswer("it holds a number that is not finite")
    if isinstance(value, int) and abs(value) > 2**63 - 1:
        raise BadAnswer("it holds a number that is too large")
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        _check_storable(child, depth + 1)


def _check(value: Any, schema: Any, path: str) -> None:
    """Hold a value against types, enums, required keys, properties and items; other keywords bind the model alone."""
    if not isinstance(schema, Mapping):
        return
    kinds = schema.get("type")
    names = [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) else []
    if names and not any(_is(value, name) for name in names):
        raise BadAnswer(f"{path} is not of type {' or '.join(map(str, names))}")
    if isinstance(schema.get("enum"), list) and value not in schema["enum"]:
        raise BadAnswer(f"{path} is none of the values of its enum")
    if isinstance(value, dict):
        properties = schema.get("properties")
        for name in _list(schema.get("required")):
            if name not in value:
                raise BadAnswer(f"{path}.{name} is missing")
        for name, child in properties.items() if isinstance(properties, Mapping) else ():
            if name in value:
                _check(value[name], child, f"{path}.{name}")
    if isinstance(value, list):
        for place, child in enumerate(value):
            _check(child, schema.get("items"), f"{path}[{place}]")


def _is(value: Any, name: Any) -> bool:
    if isinstance(value, bool):
        return bool(name == "boolean")
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    expected = _TYPES.get(str(name), (object,))
    return isinstance(value, expected)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []

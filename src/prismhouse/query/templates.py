"""`{{INPUT.path}}` in parameters: a small grammar of paths, not a language, so that nothing can be run.

A template that is the whole string keeps the type of its value; inside a text, values become text. A value that was
put in is never read again as a template.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from prismhouse.kit import json
from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["MISSING", "BadTemplate", "has_template", "inputs_of", "prune", "render"]

_TEMPLATE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_PATH = re.compile(
    r"""\s*(?P<root>[A-Za-z_]\w*)(?P<steps>(?:\.\w+|\[\d+\]|\['[^']*'\]|\["[^"]*"\])*)\s*"""
    r"""(?:\|\s*(?P<filter>json|tojson|default\((?P<default>"[^"]*"|'[^']*'|-?\d+(?:\.\d+)?|null|true|false)\)))?\s*"""
)
_STEP = re.compile(r"""\.(\w+)|\[(\d+)\]|\['([^']*)'\]|\["([^"]*)"\]""")
_INPUT_NAMES = {"INPUT", "input", "INPUTS", "inputs"}


class BadTemplate(WarehouseError):
    """The template {template!r} cannot be used: {reason}."""

    code = Code.INVALID
    hint = "Write {{{{INPUT.name}}}}, with dots and [0] for what is inside, or {{{{INPUT.name | default(5)}}}}."


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()


def has_template(value: Any) -> bool:
    """Return whether anything in `value` is filled in when it runs."""
    if isinstance(value, str):
        return "{{" in value
    if isinstance(value, dict):
        return _is_dynamic(value) or any(has_template(item) for item in value.values())
    return isinstance(value, list) and any(has_template(item) for item in value)


def inputs_of(value: Any) -> set[str]:
    """Return the names of all inputs that templates in `value` use; raise BadTemplate."""
    if isinstance(value, str):
        found = set()
        for template in _TEMPLATE.findall(value) if "{{" in value else ():
            steps = _parse(template)[0]
            if steps and isinstance(steps[0], str):
                found.add(steps[0])
        return found
    if isinstance(value, dict):
        if _is_dynamic(value):
            return {value["field"].split(".")[1]} if "." in value["field"] else set()
        return set().union(*(inputs_of(item) for item in value.values()))
    return set().union(*(inputs_of(item) for item in value)) if isinstance(value, list) else set()


def render(value: Any, inputs: Mapping[str, Any]) -> Any:
    """Return `value` with its templates filled in; MISSING stands for whole values without an input."""
    if isinstance(value, str):
        return _text(value, inputs) if "{{" in value else value
    if isinstance(value, dict):
        if _is_dynamic(value):
            return _at(inputs, value["field"].split(".")[1:])
        return {key: render(item, inputs) for key, item in value.items()}
    return [render(item, inputs) for item in value] if isinstance(value, list) else value


def prune(value: Any, dropped: list[str] | None = None) -> Any:
    """Return `value` without what is MISSING: a key, a list item, or a whole condition; its field goes to `dropped`."""
    if isinstance(value, dict):
        if isinstance(value.get("field"), str) and value.get("value") is MISSING:
            if dropped is not None:
                dropped.append(value["field"])
            return MISSING
        kept = {key: prune(item, dropped) for key, item in value.items()}
        if dropped is not None:
            dropped += [key for key, item in value.items() if item is MISSING]
        return {key: item for key, item in kept.items() if item is not MISSING}
    if isinstance(value, list):
        return [item for item in (prune(item, dropped) for item in value) if item is not MISSING]
    return value


def _is_dynamic(value: Mapping[str, Any]) -> bool:
    return value.get("type") == "dynamic" and isinstance(value.get("field"), str)


def _text(value: str, inputs: Mapping[str, Any]) -> Any:
    whole = _TEMPLATE.fullmatch(value.strip())
    if whole and "{{" not in whole.group(1):
        steps, filter_, default = _parse(whole.group(1))
        found = _resolve(inputs, steps, default)
        return found if filter_ not in {"json", "tojson"} else json.dumps(_none(found)).decode()
    return _TEMPLATE.sub(lambda match: _as_text(match.group(1), inputs), value)


def _as_text(template: str, inputs: Mapping[str, Any]) -> str:
    steps, filter_, default = _parse(template)
    found = _resolve(inputs, steps, default)
    if isinstance(found, str) and filter_ not in {"json", "tojson"}:
        return found
    return "" if found is MISSING else json.dumps(found).decode()


def _none(value: Any) -> Any:
    return None if value is MISSING else value


def _parse(template: str) -> tuple[list[str | int], str | None, str | None]:
    match = _PATH.fullmatch(template)
    if match is None:
        raise BadTemplate(template=f"{{{{{template}}}}}", reason="it is not a path")
    if match["root"] not in _INPUT_NAMES:
        raise BadTemplate(template=f"{{{{{template}}}}}", reason=f"{match['root']} is not known here; INPUT is")
    steps = [int(m[2]) if m[2] else m[1] or m[3] or m[4] for m in _STEP.finditer(match["steps"])]
    return steps, match["filter"], match["default"]


def _resolve(inputs: Mapping[str, Any], steps: list[str | int], default: str | None) -> Any:
    found = _at(inputs, steps)
    if found is MISSING and default is not None:
        return json.loads(f'"{default[1:-1]}"' if default[0] in "'\"" else default)
    return found


def _at(inputs: Any, steps: Any) -> Any:
    found = inputs
    for step in steps:
        if isinstance(found, Mapping) and str(step) in found:
            found = found[str(step)]
        elif isinstance(found, list) and str(step).isdigit() and int(step) < len(found):
            found = found[int(step)]
        else:
            return MISSING
    return found

"""`{{ metadata.batch_id }}` in a payload template: paths into the event, not a language, so that nothing can be run.

A text that is one path alone keeps the type of its value; inside a text, values become text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from prismhouse.kit import json
from prismhouse.kit.errors import FieldFault, field_fault

__all__ = ["MOST_TEMPLATE_BYTES", "faults_of", "render"]

MOST_TEMPLATE_BYTES = 16_384
_MARKED = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_PATH = re.compile(r"\s*(?:event\.)?([a-z_]+)((?:\.\w+|\[\d+\])*)\s*(\|\s*tojson\s*)?")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_ROOTS = ("event_id", "event_type", "occurred_at", "namespace_id", "subject", "metadata", "cache_scope")
_HINT = f"Write {{{{ path }}}}, where a path begins with one of: {', '.join(_ROOTS)}."


def faults_of(value: Any, location: Sequence[str | int]) -> list[FieldFault]:
    """Return what in a template cannot be rendered."""
    if isinstance(value, str):
        if "{%" in value or "{#" in value:
            return [field_fault(location, f"holds a statement of Jinja2; only paths are filled in. {_HINT}")]
        wrong = [found for found in _MARKED.findall(value) if _parsed(found) is None]
        return [field_fault(location, f"{{{{{one}}}}} is not a path into the event. {_HINT}") for one in wrong[:1]]
    if isinstance(value, Mapping):
        return [fault for key, item in value.items() for fault in faults_of(item, [*location, str(key)])]
    if isinstance(value, list):
        return [fault for number, item in enumerate(value) for fault in faults_of(item, [*location, number])]
    return []


def render(value: Any, event: Mapping[str, Any]) -> Any:
    """Return the template with the event's values in it; null for what the event does not have."""
    if isinstance(value, str):
        whole = _MARKED.fullmatch(value.strip())
        if whole and "{{" not in whole[1]:
            found, as_json = _found(whole[1], event)
            return json.dumps(found).decode() if as_json else found
        return _MARKED.sub(lambda match: _as_text(match[1], event), value)
    if isinstance(value, Mapping):
        return {key: render(item, event) for key, item in value.items()}
    return [render(item, event) for item in value] if isinstance(value, list) else value


def _parsed(path: str) -> tuple[list[str | int], bool] | None:
    match = _PATH.fullmatch(path)
    if match is None or match[1] not in _ROOTS:
        return None
    steps: list[str | int] = [step[1] or int(step[2]) for step in _STEP.finditer(match[2])]
    return [match[1], *steps], bool(match[3])


def _found(path: str, event: Mapping[str, Any]) -> tuple[Any, bool]:
    parsed = _parsed(path)
    if parsed is None:
        return None, False
    found: Any = event
    for step in parsed[0]:
        if isinstance(found, Mapping):
            found = found.get(str(step))
        elif isinstance(found, list) and isinstance(step, int) and step < len(found):
            found = found[step]
        else:
            return None, parsed[1]
    return found, parsed[1]


def _as_text(path: str, event: Mapping[str, Any]) -> str:
    found, as_json = _found(path, event)
    if isinstance(found, str) and not as_json:
        return found
    return "" if found is None and not as_json else json.dumps(found).decode()

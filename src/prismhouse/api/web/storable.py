"""JSON that the database cannot keep: U+0000 in text, integers over 64 bits, NaN, bottomless nesting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from prismhouse.kit.errors import FieldFault, field_fault

__all__ = ["unstorable"]

_MAX_DEPTH = 64
_MAX_INTEGER = 2**63 - 1


def unstorable(value: Any, location: Sequence[str | int]) -> list[FieldFault]:
    """Return one fault for each value below `location` that cannot be stored as it is."""
    faults: list[FieldFault] = []
    _walk(value, [*location], faults, _MAX_DEPTH)
    return faults


def _walk(value: Any, location: list[str | int], faults: list[FieldFault], depth: int) -> None:
    if isinstance(value, str):
        if "\x00" in value:
            faults.append(field_fault(location, "Text must not contain U+0000."))
    elif isinstance(value, dict):
        if depth == 0:
            faults.append(field_fault(location[:-_MAX_DEPTH], f"Nested deeper than {_MAX_DEPTH} levels."))
            return
        for key, inner in value.items():
            if "\x00" in key:
                faults.append(field_fault(location, "Keys must not contain U+0000."))
            elif inner is not None and inner is not True and inner is not False:
                _walk(inner, [*location, key], faults, depth - 1)
    elif isinstance(value, list):
        if depth == 0:
            faults.append(field_fault(location[:-_MAX_DEPTH], f"Nested deeper than {_MAX_DEPTH} levels."))
            return
        for index, inner in enumerate(value):
            _walk(inner, [*location, index], faults, depth - 1)
    elif isinstance(value, float):
        if not math.isfinite(value):
            faults.append(field_fault(location, "Numbers must be finite."))
    elif isinstance(value, int) and not -_MAX_INTEGER - 1 <= value <= _MAX_INTEGER:
        faults.append(field_fault(location, "Integers must fit in 64 bits; send larger ones as strings."))

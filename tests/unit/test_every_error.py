"""Every error a user can see: its message can be made, and its next step is said."""

from __future__ import annotations

import importlib
import pkgutil
import string

import prismhouse
from prismhouse.kit.errors import Invalid, WarehouseError

_PLACE_OF_NO_HINT = {Invalid}


def every_error() -> list[type[WarehouseError]]:
    """Import all of ours and return every subclass."""
    for module in pkgutil.walk_packages(prismhouse.__path__, "prismhouse."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found: list[type[WarehouseError]] = []
    waiting = [WarehouseError]
    while waiting:
        kinds = waiting.pop().__subclasses__()
        waiting += kinds
        found += [kind for kind in kinds if kind.__module__.startswith("prismhouse.")]
    return found


def test_every_error_has_a_message_and_a_next_step() -> None:
    faults = []
    for kind in every_error():
        if kind in _PLACE_OF_NO_HINT or kind.__name__.startswith("_"):
            continue
        template = (kind.__doc__ or "").strip().split("\n", 1)[0]
        if not template:
            faults.append(f"{kind.__qualname__}: the docstring, which is the message, is missing")
        if not kind.hint:
            faults.append(f"{kind.__qualname__}: hint is missing")
        for text in (template, kind.hint):
            names = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
            if any(not name.isidentifier() for name in names):
                faults.append(f"{kind.__qualname__}: {names} are not keyword arguments")

    assert faults == []

"""An annotation and its edits: what changes a value, what stood before, and new ids."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from prismhouse.api.web.storable import unstorable
from prismhouse.kit import json
from prismhouse.kit.errors import Invalid

__all__ = ["FIELDS", "JSON_FIELDS", "Chain", "Ended", "new_ids", "storable"]

FIELDS = ("label", "confidence", "reasoning", "payload", "metadata")
"""What an edit can change; all else is as it was created."""
JSON_FIELDS = ("payload", "metadata")
"""Kept as JSON text between the request and the database."""
_TICK = timedelta(microseconds=1)

State = Mapping[str, Any]


def new_ids(moment: datetime, count: int) -> Iterator[str]:
    """Yield new ids in ascending order: the time first, so that the index grows at its end, then a random number."""
    start = secrets.randbits(62)
    milliseconds = int(moment.timestamp() * 1000)
    return (f"ann_{milliseconds:012x}{start + number:016x}" for number in range(count))


def storable(item: Mapping[str, Any], location: Sequence[str | int]) -> dict[str, Any]:
    """Return the item with its JSON objects as text; raise Invalid for a value that would not be kept as it is."""
    kept = dict(item)
    for name in JSON_FIELDS:
        if kept.get(name) is not None:
            kept[name] = _text(kept[name], [*location, name])
    return kept


def _text(value: Any, location: Sequence[str | int]) -> str:
    try:
        text = json.dumps(value).decode()
    except Invalid:
        raise Invalid(unstorable(value, location)) from None
    # An infinite number, which JSON can spell as 1e999, was written as null.
    if "null" in text and json.loads(text) != value:
        raise Invalid(unstorable(value, location))
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A state that an edit put an end to."""

    state: State
    ended_at: datetime
    changed: Sequence[str]


@dataclass(slots=True)
class Chain:
    """One annotation during a transaction: its newest state, and the states that were replaced, in order."""

    state: State
    ended: list[Ended] = field(default_factory=list)

    def edit(self, given: Mapping[str, Any], moment: datetime) -> bool:
        """Apply an edit; say whether a value changed, which alone makes a version.

        A version begins at `moment`, or right after the one before it where the clock has not moved on since.
        """
        changed = [name for name in FIELDS if name in given and not _same(name, self.state[name], given[name])]
        if "label" in changed and given["label"] is None:
            changed.remove("label")
        if not changed:
            return False
        began = max(moment, self.state["updated_at"] + _TICK)
        self.ended.append(Ended(state=self.state, ended_at=began, changed=changed))
        values = {name: given[name] for name in changed}
        self.state = {**self.state, **values, "version": self.state["version"] + 1, "updated_at": began}
        return True


def _same(name: str, old: Any, new: Any) -> bool:
    if old == new or name not in JSON_FIELDS or old is None or new is None:
        return bool(old == new)
    return _equal(json.loads(old), json.loads(new))


def _equal(left: Any, right: Any) -> bool:
    """Say whether two JSON values are the same; to Python, true is 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    return bool(left == right)

"""Texts that the fake extraction obeys, and what must come of each: known beforehand, without asking the product."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["TIERS", "Expected", "expected", "material"]

TIERS = ("first", "second", "third")
_LONG = " ".join(["prose"] * 12_000)
_CODES = {"bad": "bad", "kill": "process_killed", "raise": "extractor_error"}


def material(prefix: str) -> list[str]:
    """Return one text of every kind, and several good ones."""
    return [
        *(f"good {prefix}{n}|good {prefix}{n} again" for n in range(6)),
        f"picture {prefix}",
        f"good {prefix} long {_LONG}",
        f"once {prefix}",
        f"fine {prefix}|once {prefix} later",
        f"fine {prefix}|bad {prefix} later",
        f"bad {prefix}",
        f"raise {prefix}",
        f"blank {prefix}",
    ]


@dataclass
class Expected:
    """What comes of some objects on their way through the tiers.

    Attributes:
        documents: how many of (tier, object id, text).
        failures: (tier, object id, code) of failed rows.
        submitted, failed: rows by tier.
    """

    documents: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    failures: Counter[tuple[int, str, str]] = field(default_factory=Counter)
    submitted: list[int] = field(default_factory=lambda: [0] * len(TIERS))

    @property
    def failed_objects(self) -> set[str]:
        """The objects with a failed row in any tier."""
        return {object_id for _, object_id, _ in self.failures}

    @property
    def status(self) -> str:
        """How a batch of them ends that begins from nothing."""
        return "COMPLETED_WITH_ERRORS" if self.failures else "COMPLETED"


def expected(texts: dict[str, str], object_ids: Sequence[str]) -> Expected:
    """Return what comes of objects, whose texts are given by id."""
    found = Expected()
    for object_id in object_ids:
        waiting = [texts[object_id]]
        for number, tier in enumerate(TIERS):
            found.submitted[number] += len(waiting)
            pieces: list[str] = []
            for text in waiting:
                word = text.split(" ")[0]
                if word in _CODES:
                    found.failures[number, object_id, _CODES[word]] += 1
                elif word != "blank":
                    pieces += text.split("|")
            found.documents.update((tier, object_id, piece) for piece in pieces)
            waiting = pieces
    return found

"""Faces of one video that were seen before: the best view of each is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from prismhouse.engine.extractors.port import FloatArray

__all__ = ["Known", "Sighting"]


@dataclass(slots=True)
class Sighting:
    """A face, what is kept of its best view, and when it was seen. `unit` is its vector of unit length."""

    unit: FloatArray
    quality: float
    kept: Any
    first: float
    last: float
    count: int = 1


@dataclass(slots=True)
class Known:
    """Faces by likeness. Cost: one product of each new face with all that are known."""

    threshold: float
    sightings: list[Sighting] = field(default_factory=list)

    def find(self, unit: FloatArray) -> Sighting | None:
        """Return the likest face that is known, if it is like enough."""
        if not self.sightings:
            return None
        likeness = np.stack([one.unit for one in self.sightings]) @ unit
        best = int(likeness.argmax())
        return self.sightings[best] if likeness[best] >= self.threshold else None

    def add(self, unit: FloatArray, quality: float, kept: Any, seconds: float) -> None:
        """Take a new face."""
        self.sightings.append(Sighting(unit=unit, quality=quality, kept=kept, first=seconds, last=seconds))

    def __iter__(self) -> Iterator[Sighting]:
        """Yield what is known, in the order of first sight."""
        return iter(self.sightings)

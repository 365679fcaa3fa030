"""Answers that were given before, for who asked them: a namespace never gets what another one asked.

An answer is found by what was asked, or by a text that is near enough to it. Kept in the memory of the process, for a
while, within a bound; of which one namespace has half, so that none drives out all others.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from prismhouse.engine.extractors.port import FloatArray
from prismhouse.kit import json

__all__ = ["AnswerCache", "Question"]

_MOST_NEAR = 1_000
_ENTRY_BYTES = 500


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked of which model, with what parameters. `content` is a digest."""

    namespace_id: str
    model: str
    parameters: str
    content: str

    @classmethod
    def of(cls, namespace_id: str, model: str, parameters: Mapping[str, Any], kind: str, content: bytes) -> Question:
        """Return the question; `kind` tells a text from a file of the same bytes."""
        return cls.of_digest(namespace_id, model, parameters, kind, hashlib.sha256(content).hexdigest())

    @classmethod
    def of_digest(
        cls, namespace_id: str, model: str, parameters: Mapping[str, Any], kind: str, sha256: str
    ) -> Question:
        """Return the question about content of this digest."""
        chosen = json.dumps(dict(sorted(parameters.items()))).decode()
        return cls(namespace_id, model, chosen, f"{kind}:{sha256}")

    @property
    def group(self) -> tuple[str, str, str]:
        """What questions have in common that may be near each other."""
        return self.namespace_id, self.model, self.parameters


@dataclass(slots=True)
class _Entry:
    answer: Any
    size_bytes: int
    expires: float
    vector: FloatArray | None


class AnswerCache:
    """Answers by question, the least used going first."""

    def __init__(self, *, most_bytes: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_bytes = most_bytes
        self._seconds = seconds
        self._clock = clock
        self._entries: OrderedDict[Question, _Entry] = OrderedDict()
        self._held: Counter[str] = Counter()
        self._groups: dict[tuple[str, str, str], OrderedDict[Question, None]] = {}

    @property
    def held_bytes(self) -> int:
        """What all answers take."""
        return self._held.total()

    def find(self, question: Question) -> Any | None:
        """Return the answer to the same question, or None."""
        entry = self._entries.get(question)
        if entry is None:
            return None
        if entry.expires <= self._clock():
            self._drop(question)
            return None
        self._entries.move_to_end(question)
        return entry.answer

    def nearest(self, question: Question, vector: FloatArray, *, delta: float) -> Any | None:
        """Return the answer to the nearest text whose cosine distance is at most `delta`, or None.

        Args:
            question: its namespace, model and parameters are those of the answer.
            vector: of unit length, of the text.
            delta: 0 to 1.
        """
        now = self._clock()
        known = [
            one
            for one in self._groups.get(question.group, ())
            if self._entries[one].vector is not None and self._entries[one].expires > now
        ]
        if not known:
            return None
        distances = 1 - np.stack([self._entries[one].vector for one in known]) @ vector  # type: ignore[misc]
        best = int(distances.argmin())
        return self.find(known[best]) if distances[best] <= delta + 1e-6 else None

    def keep(self, question: Question, answer: Any, *, vector: FloatArray | None = None) -> None:
        """Keep an answer; one that would take more than a quarter of the room is not kept."""
        size = _ENTRY_BYTES + len(json.dumps(answer)) + (vector.nbytes if vector is not None else 0)
        if size > self._most_bytes // 4:
            return
        self._drop(question)
        space = question.namespace_id
        while self._held[space] + size > self._most_bytes // 2:
            self._drop(next(one for one in self._entries if one.namespace_id == space))
        while self._held.total() + size > self._most_bytes:
            self._drop(next(iter(self._entries)))
        # A row of an array would keep the whole array.
        own = vector.copy() if vector is not None else None
        self._entries[question] = _Entry(answer, size, self._clock() + self._seconds, own)
        self._held[space] += size
        if vector is not None:
            near = self._groups.setdefault(question.group, OrderedDict())
            near[question] = None
            if len(near) > _MOST_NEAR:
                self._drop(next(iter(near)))

    def _drop(self, question: Question) -> None:
        entry = self._entries.pop(question, None)
        if entry is None:
            return
        self._held[question.namespace_id] -= entry.size_bytes
        if not self._held[question.namespace_id]:
            del self._held[question.namespace_id]
        near = self._groups.get(question.group)
        if near is not None:
            near.pop(question, None)
            if not near:
                del self._groups[question.group]

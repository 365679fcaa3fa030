"""Short clips of speech with their transcripts, which a package carries, and how wrong a transcription is.

The package is a pytest plugin with dependencies of its own: `make samples` puts its files, and nothing else, into
`.samples`. Where they are not, tests that need them are skipped.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = ["Clip", "clips", "word_errors"]

_FOLDER = Path(os.environ.get("PRISMHOUSE_TEST_SAMPLES") or Path(__file__).parents[1] / ".samples")
_AUDIO = _FOLDER / "pytest_audioeval" / "samples" / "audio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A sound and what is said in it."""

    path: Path
    transcript: str


def clips(language: str) -> list[Clip]:
    """Return the clips of a language, by name; skip the test where there are none."""
    found = sorted((_AUDIO / language).glob("*.wav"))
    if not found:
        pytest.skip("no clips of speech: make samples")
    return [Clip(path=path, transcript=path.with_suffix(".txt").read_text().strip()) for path in found]


def word_errors(said: str, heard: str) -> tuple[int, int]:
    """Return how many words were left out, added or taken for others, and how many there are."""
    wanted, got = (re.findall(r"\w+(?:'\w+)?", text.lower()) for text in (said, heard))
    row = list(range(len(got) + 1))
    for place, word in enumerate(wanted, 1):
        before, row[0] = row[0], place
        for other, heard_word in enumerate(got, 1):
            before, row[other] = row[other], min(row[other] + 1, row[other - 1] + 1, before + (word != heard_word))
    return row[-1], len(wanted)

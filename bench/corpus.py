"""Documents for every store that is compared, and the questions they are all asked.

The documents go to one file of JSON lines, which each store reads. Words are made up; how often each is used follows
Zipf's law. Reading needs the standard library alone: the other stores run in environments of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, product
from pathlib import Path
from typing import Any

__all__ = ["CATEGORIES", "FIELDS", "LIMIT", "Questions", "batches", "document_id", "write_documents"]

SEED = 19
LIMIT = 20
CATEGORIES = (
    *("news", "sport", "travel", "science", "music", "film", "art", "history", "food", "health"),
    *("law", "nature", "politics", "business", "games", "books", "fashion", "cars", "homes", "weather"),
)
# Field and index type, as each store has them declared.
FIELDS = {
    "category": "keyword",
    "owner": "keyword",
    "year": "integer",
    "score": "float",
    "published": "datetime",
    "scene": "keyword",
}
OWNED = 100
IN_SCENE = 3
_WORDS = 20_000
_WORDS_IN_TEXT = 75
_COMMON_RANK = 15
_FIRST_YEAR = 2010
_YEARS = 15
_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Questions:
    """The values of the questions; the number of a question picks one.

    Attributes:
        count: how many documents there are.
        common: a word in about a third of them.
    """

    count: int
    common: str

    def category(self, number: int) -> str:
        """One of twenty: a twentieth of the documents."""
        return CATEGORIES[number * 7 % len(CATEGORIES)]

    def owner(self, number: int) -> str:
        """One of many: a hundred documents."""
        return f"owner_{number * 7919 % max(1, self.count // OWNED):06d}"

    def years(self, number: int) -> tuple[int, int]:
        """First and last of three years: a fifth of the documents."""
        first = _FIRST_YEAR + number * 5 % (_YEARS - 2)
        return first, first + 2


def document_id(number: int) -> str:
    """Return the id of a document; ids stand in the order of their numbers."""
    return f"doc_{number:08d}"


def write_documents(file: Path, count: int) -> Questions:
    """Write documents 0 to count - 1, about 0.6 kB each, one a line; the same count gives the same file."""
    import numpy as np

    rng = np.random.default_rng(SEED)
    words = np.array(_words(_WORDS))
    shares = 1 / np.arange(1, _WORDS + 1)
    edges = np.cumsum(shares / shares.sum())
    epoch = datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC)
    seconds = int(timedelta(days=365 * _YEARS).total_seconds())
    with file.open("w") as lines:
        for start in range(0, count, _AT_ONCE):
            numbers = range(start, min(start + _AT_ONCE, count))
            size = len(numbers)
            chosen = words[np.minimum(np.searchsorted(edges, rng.random((size, _WORDS_IN_TEXT))), _WORDS - 1)]
            moments = rng.integers(0, seconds, size)
            columns = zip(
                numbers,
                chosen.tolist(),
                rng.integers(0, len(CATEGORIES), size).tolist(),
                rng.integers(0, max(1, count // OWNED), size).tolist(),
                np.round(rng.random(size), 6).tolist(),
                moments.tolist(),
                strict=True,
            )
            for number, text, category, owner, score, moment in columns:
                published = epoch + timedelta(seconds=moment)
                document = {
                    "number": number,
                    "title": " ".join(text[:6]).capitalize(),
                    "text": " ".join(text),
                    "category": CATEGORIES[category],
                    "owner": f"owner_{owner:06d}",
                    "year": published.year,
                    "score": score,
                    "published": published.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "scene": f"scene_{number // IN_SCENE:07d}",
                }
                lines.write(json.dumps(document, separators=(",", ":")) + "\n")
    return Questions(count=count, common=str(words[_COMMON_RANK]))


def batches(file: Path, size: int) -> Iterator[list[dict[str, Any]]]:
    """Yield the documents of a file, so many at once."""
    with file.open() as lines:
        while raw := list(islice(lines, size)):
            yield json.loads(f"[{','.join(raw)}]")


def _words(count: int) -> Sequence[str]:
    """Return different words of two to three syllables, the short ones first, as languages have them."""
    syllables = [a + b for a, b in product("bdfgklmnprstvz", "aeiou")]
    pairs = ("".join(pair) for pair in product(syllables, syllables))
    triples = ("".join(triple) for triple in product(syllables, syllables, syllables))
    # A step through all of them, so that frequent words do not begin alike.
    two = list(pairs)
    three = list(islice(triples, 0, None, 17))
    spread = [two[number * 1237 % len(two)] for number in range(len(two))] + three
    return spread[:count]

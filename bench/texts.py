"""English texts of varied length, made from prose that installed packages carry; the same seed gives the same texts.

Sources: the language reference inside Python (`pydoc_data.topics`) and scikit-learn's data set descriptions.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np

__all__ = ["sentences", "texts"]


def sentences() -> list[str]:
    """Return the sentences of the sources, in their order."""
    prose = [*topics.values(), *_descriptions()]
    pieces = (piece for text in prose for piece in re.split(r"(?<=[.!?])\s+|\n\s*\n", text))
    cleaned = (re.sub(r"\s+", " ", piece).strip() for piece in pieces)
    return [piece for piece in cleaned if len(piece.split()) >= 3]


def texts(count: int, *, seed: int, median_words: int = 70, sigma: float = 0.7, most_words: int = 400) -> list[str]:
    """Return texts of consecutive sentences, about log-normal in length; each ends with its own number.

    The number keeps texts apart that happen to begin at the same sentence.
    """
    rng = np.random.default_rng(seed)
    pool = sentences()
    wanted = np.clip(rng.lognormal(np.log(median_words), sigma, count), 5, most_words).astype(int)
    starts = rng.integers(0, len(pool), count)
    return [
        _join(pool, int(start), int(words), number)
        for number, (start, words) in enumerate(zip(starts, wanted, strict=True))
    ]


def _join(pool: list[str], start: int, words: int, number: int) -> str:
    chosen: list[str] = []
    while sum(len(sentence.split()) for sentence in chosen) < words:
        chosen.append(pool[(start + len(chosen)) % len(pool)])
    return f"{' '.join(' '.join(chosen).split()[:words])} (text {number})"


def _descriptions() -> list[str]:
    spec = find_spec("sklearn")
    if spec is None or spec.origin is None:
        return []
    folder = Path(spec.origin).parent / "datasets" / "descr"
    return [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.rst"))]

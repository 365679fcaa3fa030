"""Text becomes chunks: windows over units (characters, words, sentences ...), or a structure of its own.

Sizes and overlaps count units. A chunk of windows is a slice of the text: `text[start:end]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from prismhouse.engine.extractors.markdown import split_markdown
from prismhouse.engine.extractors.sentences import sentence_spans
from prismhouse.engine.extractors.spans import Chunk, Span, check_count, trimmed
from prismhouse.engine.extractors.timed import split_timed

__all__ = ["Chunk", "SplitRule", "split"]

_CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_CJK}]|[^\s{_CJK}]+")
_PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*|\f")
_PAGE = re.compile(r"\f")


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRule:
    """How to split. `size` and `overlap` count units of `by`; overlap < size."""

    by: str = "none"
    size: int = 1000
    overlap: int = 0
    segment_seconds: int = 120


def split(text: str, rule: SplitRule) -> list[Chunk]:
    """Return the chunks in order; none for blank text. Same text and rule, same chunks.

    Every character that is not white space is in at least one chunk. Chunks of white space alone are left out.

    Raises:
        MediaFault: `time_segments` of a text without time stamps, or far too many chunks.
    """
    if not text.strip():
        return []
    if rule.by == "none":
        return [Chunk(text=text, start=0, end=len(text))]
    if rule.by == "markdown":
        return split_markdown(text, rule.size)
    if rule.by == "time_segments":
        return split_timed(text, rule.segment_seconds, rule.overlap)
    if rule.by == "pages":
        return list(_pages(text, rule))
    if rule.by == "characters":
        bounds = ((first, min(last, len(text))) for first, last in _windows(len(text), rule))
        return _slices(text, bounds)
    spans = _units(text, rule.by)
    return _slices(text, ((spans[first][0], spans[last - 1][1]) for first, last in _windows(len(spans), rule)))


def _units(text: str, by: str) -> Sequence[Span]:
    if by == "words":
        return [match.span() for match in _WORD.finditer(text)]
    if by == "sentences":
        return sentence_spans(text)
    return list(_between(text, _PARAGRAPH))


def _between(text: str, separator: re.Pattern[str]) -> Iterator[Span]:
    start = 0
    for match in separator.finditer(text):
        if (span := trimmed(text, start, match.start())) is not None:
            yield span
        start = match.end()
    if (span := trimmed(text, start, len(text))) is not None:
        yield span


def _pages(text: str, rule: SplitRule) -> Iterator[Chunk]:
    """Yield windows of pages; a page ends at a form feed, and blank pages keep their number."""
    edges = [0, *(match.end() for match in _PAGE.finditer(text)), len(text) + 1]
    for first, last in _windows(len(edges) - 1, rule):
        span = trimmed(text, edges[first], edges[last] - 1)
        if span is not None:
            yield Chunk(text=text[slice(*span)], start=span[0], end=span[1], fields={"page_number": first + 1})


def _windows(count: int, rule: SplitRule) -> Iterator[Span]:
    """Yield `[first, last)` unit ranges of `size`, each starting `size - overlap` after the one before."""
    step = rule.size - rule.overlap
    check_count(count // step)
    for first in range(0, count, step):
        yield first, min(first + rule.size, count)
        if first + rule.size >= count:
            return


def _slices(text: str, bounds: Iterable[Span]) -> list[Chunk]:
    pieces = ((text[start:end], start, end) for start, end in bounds)
    return [Chunk(text=piece, start=start, end=end) for piece, start, end in pieces if piece.strip()]

"""Markdown becomes one chunk per heading section and one per fenced code block."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from prismhouse.engine.extractors.sentences import sentence_spans
from prismhouse.engine.extractors.spans import Chunk, Span, trimmed

__all__ = ["split_markdown"]

_ATX = re.compile(r" {0,3}(#{1,6})(?=[ \t]|$)")
_SETEXT = re.compile(r" {0,3}(=++|-++)[ \t]*+$")
_FENCE = re.compile(r" {0,3}(`{3,}+|~{3,}+)[ \t]*+([^\s`{]*+)([^`]*+)$")
_BLANK = re.compile(r"\n[^\S\n]*\n\s*")
_NOT_SETEXT_TEXT = re.compile(r" {0,3}(?:[-*+>|]|\d+[.)])")


@dataclass(slots=True)
class _Section:
    path: tuple[str, ...]
    prose: list[Span] = field(default_factory=list)
    code: list[tuple[Span, str | None]] = field(default_factory=list)


def split_markdown(text: str, size: int) -> list[Chunk]:
    """Return sections and code blocks in the order in which they start.

    A section's text is its heading and prose, without its code blocks. Prose of more than `size` characters is
    split between paragraphs, then between sentences, at last between words. Code is never split.
    """
    chunks: list[Chunk] = []
    for section in _sections(text):
        fields: dict[str, Any] = {"heading_path": list(section.path)}
        for pieces in _packed(text, section.prose, size):
            joined = "\n\n".join(text[start:end] for start, end in pieces)
            if not joined.strip():
                continue
            kind = {**fields, "chunk_kind": "section"}
            chunks.append(Chunk(text=joined, start=pieces[0][0], end=pieces[-1][1], fields=kind))
        for (start, end), language in section.code:
            kind = {**fields, "chunk_kind": "code", "code_language": language}
            chunks.append(Chunk(text=text[start:end], start=start, end=end, fields=kind))
    return sorted(chunks, key=lambda chunk: chunk.start)


def _lines(text: str) -> list[Span]:
    edges = [0, *(match.end() for match in re.finditer(r"\n", text))]
    return [(start, end) for start, end in zip(edges, [*edges[1:], len(text)], strict=True) if start < end]


def _sections(text: str) -> list[_Section]:
    reader = _Reader(text)
    reader.read()
    return reader.sections


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = _lines(text)
        self._levels: list[tuple[int, str]] = []
        self._prose_start: int | None = None
        self.sections = [_Section(path=())]

    def read(self) -> None:
        place = self._skip_front_matter()
        while place < len(self._lines):
            start, end = self._lines[place]
            line = self._text[start:end].rstrip("\n")
            if fence := _FENCE.match(line):
                place = self._code(place, fence)
                continue
            if heading := _ATX.match(line):
                self._close_prose(start)
                self._open_section(len(heading[1]), _atx_title(line[heading.end() :]))
            elif (setext := _SETEXT.match(line)) and (title := self._title_before(place)) is not None:
                title_start = self._lines[place - 1][0]
                self._close_prose(title_start)
                self._open_section(1 if setext[1][0] == "=" else 2, title)
                self._prose_start = title_start
            if self._prose_start is None:
                self._prose_start = start
            place += 1
        self._close_prose(len(self._text))

    def _skip_front_matter(self) -> int:
        """Return the first line after a `---` block at the very top, which is kept as prose."""
        content = [self._text[start:end].rstrip() for start, end in self._lines]
        if content and content[0] == "---" and "---" in content[1:]:
            self._prose_start = 0
            return content.index("---", 1) + 1
        return 0

    def _title_before(self, place: int) -> str | None:
        """Return the one-line paragraph above a setext underline, or None when that is no heading."""
        if place == 0 or self._prose_start is None or self._prose_start > self._lines[place - 1][0]:
            return None
        title = self._text[slice(*self._lines[place - 1])]
        above = self._text[slice(*self._lines[place - 2])] if place > 1 else ""
        if not title.strip() or above.strip() or _NOT_SETEXT_TEXT.match(title) or _ATX.match(title.rstrip("\n")):
            return None
        return title.strip()

    def _open_section(self, level: int, title: str) -> None:
        self._levels = [*(item for item in self._levels if item[0] < level), (level, title)]
        self.sections.append(_Section(path=tuple(name for _, name in self._levels)))

    def _close_prose(self, end: int) -> None:
        if self._prose_start is not None and (span := trimmed(self._text, self._prose_start, end)) is not None:
            self.sections[-1].prose.append(span)
        self._prose_start = None

    def _code(self, place: int, fence: re.Match[str]) -> int:
        """Take a code block that starts on this line; return the line after it. An open block runs to the end."""
        self._close_prose(self._lines[place][0])
        closing = re.compile(rf" {{0,3}}{re.escape(fence[1][0])}{{{len(fence[1])},}}[ \t]*$")
        last = place + 1
        while last < len(self._lines) and not closing.match(self._text[slice(*self._lines[last])].rstrip("\n")):
            last += 1
        start = self._lines[place][1]
        end = self._lines[last][0] if last < len(self._lines) else len(self._text)
        if self._text[start:end].strip():
            self.sections[-1].code.append(((start, end), fence[2] or None))
        return last + 1


def _atx_title(rest: str) -> str:
    """Return a heading's title without the closing `#` marks it may have."""
    title = rest.strip()
    bare = title.rstrip("#")
    return bare.rstrip() if bare != title and (not bare or bare[-1] in " \t") else title


def _packed(text: str, prose: Sequence[Span], size: int) -> Iterator[list[Span]]:
    """Yield groups of spans, each of at most `size` characters."""
    if sum(end - start for start, end in prose) + 2 * (len(prose) - 1) <= size:
        if prose:
            yield list(prose)
        return
    for span in prose:
        group: Span | None = None
        for start, end in _units(text, span, size):
            if group is not None and end - group[0] <= size:
                group = (group[0], end)
                continue
            if group is not None:
                yield [group]
            group = (start, end)
        if group is not None:
            yield [group]


def _units(text: str, span: Span, size: int) -> Iterator[Span]:
    """Yield paragraphs, and sentences or words of the paragraphs that are too long."""
    start = span[0]
    for match in [*_BLANK.finditer(text, *span), None]:
        end = match.start() if match else span[1]
        if end - start <= size:
            yield start, end
        else:
            for first, last in sentence_spans(text[start:end]):
                yield from _cut(text, (start + first, start + last), size)
        start = match.end() if match else end


def _cut(text: str, span: Span, size: int) -> Iterator[Span]:
    start, end = span
    while end - start > size:
        space = max(text.rfind(" ", start, start + size + 1), text.rfind("\n", start, start + size + 1))
        cut = space if space > start else start + size
        yield start, cut
        start = cut + 1 if space > start else cut
    if start < end:
        yield start, end

"""How answers look: rank, file and place on one line, the words that were asked for marked below."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from typing import TextIO

from prismhouse.cli.search.answers import Answer, fetched
from prismhouse.cli.search.pictures import Canvas
from prismhouse.cli.words import printable

__all__ = ["excerpt", "marked", "show"]

_BOLD, _DIM, _MARK, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[1;33m", "\x1b[0m"
_EXCERPT = 220
_PICTURE_BYTES = 8 << 20
_WORD = re.compile(r"\w+")


def show(answers: Sequence[Answer], question: str, stream: TextIO, canvas: Canvas | None) -> None:
    """Print the answers; colours and pictures on terminals only."""
    coloured = stream.isatty()
    width = max(40, min(shutil.get_terminal_size().columns if coloured else 100, 120))
    for answer in answers:
        _head(answer, stream, coloured=coloured)
        if canvas is not None and answer.picture and answer.kind != "text":
            data = fetched(answer.picture, limit_bytes=_PICTURE_BYTES)
            if data is not None:
                canvas.draw(data)
        if answer.text:
            _wrapped(marked(excerpt(answer.text, question), question, coloured=coloured), width, stream)
        if answer.labels:
            found = f"looks like {', '.join(printable(label) for label in answer.labels)}"
            _wrapped(marked(found, question, coloured=coloured), width, stream)
        stream.flush()


def excerpt(text: str, question: str) -> str:
    """Return the stretch of a text that begins with the sentence that shares most words with the question."""
    flat = printable(re.sub(r"\s+", " ", text)).strip()
    sentences = re.split(r"(?<=[.!?:]) +(?=\S)", flat)
    wanted = _stems(question)
    best = max(range(len(sentences)), key=lambda place: (len(wanted & _stems(sentences[place])), -place))
    shown = " ".join(sentences[best:])
    cut = shown if len(shown) <= _EXCERPT else f"{shown[:_EXCERPT].rsplit(' ', 1)[0]} ..."
    return f"{'... ' if best else ''}{cut}"


def marked(text: str, question: str, *, coloured: bool) -> str:
    """Return the text with the question's words marked: in colour, or between asterisks."""
    wanted = _stems(question)
    before, after = (_MARK, _PLAIN) if coloured else ("*", "*")

    def mark(found: re.Match[str]) -> str:
        word = found.group()
        return f"{before}{word}{after}" if _stem(word) in wanted else word

    return _WORD.sub(mark, text)


def _head(answer: Answer, stream: TextIO, *, coloured: bool) -> None:
    bold, dim, plain = (_BOLD, _DIM, _PLAIN) if coloured else ("", "", "")
    place = f", {answer.place}" if answer.place else ""
    print(
        f"{answer.rank:>2}. {bold}{printable(answer.file)}{plain}{place}"
        f"  {dim}{printable(answer.kind)} {answer.score:.4f}{plain}",
        file=stream,
    )


def _wrapped(text: str, width: int, stream: TextIO) -> None:
    line, length = "", 0
    for word in text.split(" "):
        size = len(re.sub(r"\x1b\[[0-9;]*m", "", word))
        if line and length + 1 + size > width - 4:
            print(f"    {line}", file=stream)
            line, length = "", 0
        line, length = (f"{line} {word}", length + 1 + size) if line else (word, size)
    if line:
        print(f"    {line}", file=stream)


def _stems(text: str) -> set[str]:
    return {_stem(word) for word in _WORD.findall(text) if len(word) > 2}


def _stem(word: str) -> str:
    """Return a word without the commonest endings, so that `bicycles` finds `bicycle`."""
    lower = word.lower()
    for ending in ("ing", "es", "ed", "s"):
        if len(lower) - len(ending) > 2 and lower.endswith(ending):
            return lower[: -len(ending)].rstrip("e")
    return lower.rstrip("e")

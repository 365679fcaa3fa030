"""Lines become blocks: by the gaps between them, the size of their letters, and the region of the page they lie in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from prismhouse.engine.media.pdf import Box

__all__ = ["Block", "Part", "Piece", "blocks_of"]

_LINE_GAP = 1.2
_SIZE_CHANGE = 0.15
_SAME_ROW = 0.5
_LOOKED_BACK = 12
_EDGE = 0.07
_SHORT_CHARACTERS = 120
_HEADING = 1.15
_LIST = re.compile(r"^\s*(?:[•◦▪‣·*–-]|\(?(?:\d{1,2}|[a-z])[.)])\s+\S")
_TYPES = {"table": "table", "figure": "figure", "header": "header", "footer": "footer", "title": "header"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A line of text, or a piece of one, with its certainty. The box and the size are points."""

    text: str
    box: Box
    size: float
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A region of the page, in points."""

    kind: str
    box: Box


@dataclass(slots=True)
class Block:
    """Lines that belong together."""

    kind: str
    box: Box
    pieces: list[Piece] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The lines in one; the rows of a table keep their lines, their cells are parted by bars."""
        if self.kind == "table":
            return "\n".join(" | ".join(one.text for one in row) for row in _rows(self.pieces))
        return ("\n" if self.kind == "list" else " ").join(one.text for one in self.pieces)

    @property
    def confidence(self) -> float:
        """The certainty of its characters on average; 1 without any."""
        total = sum(len(one.text) for one in self.pieces)
        return sum(one.confidence * len(one.text) for one in self.pieces) / total if total else 1.0


def blocks_of(
    pieces: Sequence[Piece], parts: Sequence[Part], height: float, *, vertical: float, horizontal: float
) -> list[Block]:
    """Return the blocks of a page, in the order of their first lines.

    Args:
        pieces: the lines, in the order of the file or as they were recognized.
        parts: regions that a model found, likeliest first.
        height: of the page, in points.
        vertical: gap from which on lines are of two blocks.
        horizontal: gap from which on pieces side by side are of two blocks.
    """
    wholes = [Block(part.kind, part.box) for part in parts if part.kind in ("table", "figure")]
    wholes = [
        one for place, one in enumerate(wholes) if not any(_within(one.box, other.box) for other in wholes[:place])
    ]
    loose: list[Block] = []
    for piece in pieces:
        whole = next((one for one in wholes if _within(piece.box, one.box)), None)
        if whole is not None:
            whole.pieces.append(piece)
            continue
        joined = next(
            (one for one in reversed(loose[-_LOOKED_BACK:]) if _continues(one, piece, vertical, horizontal)), None
        )
        if joined is None:
            loose.append(Block("paragraph", piece.box, [piece]))
        else:
            joined.pieces.append(piece)
            joined.box = _both(joined.box, piece.box)
    body = median([one.size for one in pieces]) if pieces else 0.0
    for block in loose:
        block.kind = _kind(block, parts, height, body)
    return [*wholes, *loose]


def _continues(block: Block, piece: Piece, vertical: float, horizontal: float) -> bool:
    last = block.pieces[-1]
    if abs(last.size - piece.size) > _SIZE_CHANGE * max(last.size, piece.size):
        return False
    tall = min(last.box[3] - last.box[1], piece.box[3] - piece.box[1])
    shared = min(last.box[3], piece.box[3]) - max(last.box[1], piece.box[1])
    if shared > _SAME_ROW * tall:
        return -tall < piece.box[0] - last.box[2] <= horizontal
    if _LIST.match(piece.text):
        return False
    gap = piece.box[1] - last.box[3]
    aside = max(piece.box[0] - block.box[2], block.box[0] - piece.box[2], 0.0)
    return -tall < gap <= min(vertical, _LINE_GAP * max(tall, piece.size)) and aside <= horizontal


def _kind(block: Block, parts: Sequence[Part], height: float, body: float) -> str:
    found = next((part.kind for part in parts if part.kind in _TYPES and _within(block.box, part.box)), None)
    if found is not None and (found != "title" or len(block.text) <= _SHORT_CHARACTERS):
        return _TYPES[found]
    if _LIST.match(block.text):
        return "list" if block.pieces[0].size < _HEADING * body else "header"
    if len(block.text) <= _SHORT_CHARACTERS:
        if block.box[3] < _EDGE * height or block.pieces[0].size >= _HEADING * body:
            return "header"
        if block.box[1] > (1 - _EDGE) * height:
            return "footer"
    return "paragraph"


def _rows(pieces: Sequence[Piece]) -> list[list[Piece]]:
    rows: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda one: one.box[1] + one.box[3]):
        first = rows[-1][0].box if rows else None
        if first is None or (piece.box[1] + piece.box[3]) / 2 > first[3]:
            rows.append([])
        rows[-1].append(piece)
    return [sorted(row, key=lambda one: one.box[0]) for row in rows]


def _within(box: Box, whole: Box) -> bool:
    """Whether the middle of a box lies in another."""
    across, down = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return whole[0] <= across <= whole[2] and whole[1] <= down <= whole[3]


def _both(one: Box, other: Box) -> Box:
    return (min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3]))

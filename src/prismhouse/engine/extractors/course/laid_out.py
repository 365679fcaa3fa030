"""Lines of writing become text as it stands on the page: what is indented there is indented here."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from prismhouse.engine.media.pdf import Box

__all__ = ["laid_out"]

_SAME_LINE = 0.5
_WIDEST_INDENT = 60


def laid_out(pieces: Sequence[tuple[str, Box]]) -> str:
    """Return texts, each with its box, as lines; each indented by as many letters as it stands to the right."""
    if not pieces:
        return ""
    letter = max(median([(box[2] - box[0]) / len(text) for text, box in pieces if text] or [1.0]), 0.1)
    left = min(box[0] for _, box in pieces)
    rows: list[list[tuple[str, Box]]] = []
    for text, box in sorted(pieces, key=lambda one: one[1][1] + one[1][3]):
        before = rows[-1][0][1] if rows else None
        height = box[3] - box[1]
        if before is None or min(before[3], box[3]) - max(before[1], box[1]) < _SAME_LINE * height:
            rows.append([])
        rows[-1].append((text, box))
    lines = []
    for row in rows:
        line = ""
        for text, box in sorted(row, key=lambda one: one[1][0]):
            place = min(round((box[0] - left) / letter), len(line) + _WIDEST_INDENT)
            line = line.ljust(max(place, len(line) + bool(line))) + text
        lines.append(line)
    return "\n".join(lines)

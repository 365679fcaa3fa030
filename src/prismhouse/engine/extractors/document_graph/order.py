"""Reading order: a page is cut along its white stripes, columns from left to right and rows from top to bottom."""

from __future__ import annotations

from collections.abc import Sequence

from prismhouse.engine.extractors.document_graph.blocks import Block

__all__ = ["in_reading_order"]

_TALL_POINTS = 60.0


def in_reading_order(blocks: Sequence[Block]) -> list[Block]:
    """Return the blocks as they are read."""
    if len(blocks) < 2:
        return list(blocks)
    columns = _groups(blocks, 0)
    if len(columns) > 1 and all(_height(one) >= _TALL_POINTS for one in columns):
        return [block for column in columns for block in in_reading_order(column)]
    rows = _groups(blocks, 1)
    if len(rows) > 1:
        return [block for row in rows for block in in_reading_order(row)]
    if len(columns) > 1:
        return [block for column in columns for block in in_reading_order(column)]
    return sorted(blocks, key=lambda one: (one.box[1], one.box[0]))


def _groups(blocks: Sequence[Block], axis: int) -> list[list[Block]]:
    """Return groups that do not overlap along an axis, in their order along it."""
    groups: list[list[Block]] = []
    end = float("-inf")
    for block in sorted(blocks, key=lambda one: one.box[axis]):
        if block.box[axis] >= end:
            groups.append([])
        groups[-1].append(block)
        end = max(end, block.box[axis + 2])
    return groups


def _height(blocks: Sequence[Block]) -> float:
    return max(one.box[3] for one in blocks) - min(one.box[1] for one in blocks)

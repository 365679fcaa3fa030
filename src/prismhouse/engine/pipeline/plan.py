"""Which collections a batch runs, in which order: tiers of collections that only need earlier ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["CollectionCycle", "Node", "cut_work", "downstream_of", "plan_tiers"]

_LEAST_CHUNK = 16


class CollectionCycle(WarehouseError):
    """The collections {collection_ids} feed each other in a circle."""

    code = Code.INVALID
    hint = "Give one of them another source."


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A collection and what it reads: buckets or collections."""

    collection_id: str
    source_ids: tuple[str, ...]


def downstream_of(roots: Iterable[str], nodes: Iterable[Node]) -> list[Node]:
    """Return the nodes in `roots` and all that read from them, directly or not, in the given order."""
    given = list(nodes)
    reached = set(roots)
    grown = True
    while grown:
        more = {node.collection_id for node in given if reached.intersection(node.source_ids)} - reached
        reached |= more
        grown = bool(more)
    return [node for node in given if node.collection_id in reached]


def plan_tiers(nodes: Sequence[Node]) -> list[list[str]]:
    """Return collection ids by tier: each stands after every node it reads, as early as it can.

    Sources outside `nodes` are there already and bind nothing.

    Raises:
        CollectionCycle: when some nodes can never start.
    """
    waiting = {node.collection_id: set(node.source_ids) for node in nodes}
    tiers: list[list[str]] = []
    while waiting:
        ready = [name for name, sources in waiting.items() if not sources.intersection(waiting)]
        if not ready:
            raise CollectionCycle(collection_ids=", ".join(sorted(waiting)))
        tiers.append(ready)
        for name in ready:
            del waiting[name]
    return tiers


def cut_work(ids: Sequence[str], most: int, *, shares: int, least: int = _LEAST_CHUNK) -> list[Sequence[str]]:
    """Return `ids` in chunks of at most `most`, each at most one of `shares` of what is left.

    They shrink towards the end, so that those who work on them end at about the same time: down to `least`, but there
    are several for each share, since what `least` goes by may be wrong.
    """
    least = max(_LEAST_CHUNK, min(least, len(ids) // (2 * shares)))
    chunks: list[Sequence[str]] = []
    start = 0
    while start < len(ids):
        size = min(most, max(least, -(-(len(ids) - start) // shares)))
        chunks.append(ids[start : start + size])
        start += size
    return chunks

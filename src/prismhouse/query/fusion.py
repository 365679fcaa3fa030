"""How the rankings of several searches become one: SQL over rows (document_id, score, rank)."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["RANK_OFFSET", "Fusion", "combined", "contribution"]

RANK_OFFSET = 60


class Fusion(StrEnum):
    """Strategies. A document that a search did not find gets nothing from it."""

    RRF = "rrf"
    DBSF = "dbsf"
    WEIGHTED = "weighted"
    MAX = "max"


def contribution(fusion: Fusion, weight: str) -> str:
    """Return what a row of one search adds; `weight` is a parameter.

    rrf: weight / (60 + rank), rank from 1 (Cormack, Clarke and Buettcher, SIGIR 2009). dbsf: the score, scaled so
    that the worst of this search is 0 and the best 1 (1 where all are equal), times weight. weighted: score times
    weight. max: the score.
    """
    match fusion:
        case Fusion.RRF:
            return f"{weight}::float8 / ({RANK_OFFSET} + rank)"
        case Fusion.DBSF:
            low, span = "min(score) OVER ()", "(max(score) OVER () - min(score) OVER ())"
            return f"{weight}::float8 * CASE WHEN {span} = 0 THEN 1 ELSE (score - {low}) / {span} END"
        case Fusion.WEIGHTED:
            return f"{weight}::float8 * score"
        case Fusion.MAX:
            return f"score + 0 * {weight}::float8"


def combined(fusion: Fusion) -> str:
    """Return the aggregate that joins contributions `part` to a score."""
    return "max(part)" if fusion is Fusion.MAX else "sum(part)"

"""ONNX graphs as they were exported: most take any number of rows of any length, some exactly so many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from prismhouse.engine.extractors.port import FloatArray

__all__ = ["fixed_length", "fixed_rows", "run_rows"]


def fixed_rows(session: Any) -> int | None:
    """Return how many rows the graph takes, no more and no fewer; None where it takes any number."""
    return min(
        (one.shape[0] for one in session.get_inputs() if one.shape and isinstance(one.shape[0], int)), default=None
    )


def fixed_length(session: Any) -> int | None:
    """Return how many tokens a row has, no more and no fewer; None where it may have any number."""
    lengths = [one.shape[-1] for one in session.get_inputs() if one.name == "input_ids"]
    return lengths[0] if lengths and isinstance(lengths[0], int) else None


def run_rows(session: Any, output: str, given: Mapping[str, Any]) -> FloatArray:
    """Return an output for all rows of the inputs. A graph with `fixed_rows` runs as often as it takes.

    Its last run is filled up with rows that are there, whose results are dropped.
    """
    rows, count = fixed_rows(session), len(next(iter(given.values())))
    parts = []
    for start in range(0, count, rows or count):
        part = {name: values[start : start + (rows or count)] for name, values in given.items()}
        if rows is not None:
            part = {name: np.resize(values, (rows, *values.shape[1:])) for name, values in part.items()}
        parts.append(session.run([output], part)[0])
    whole: FloatArray = np.concatenate(parts)[:count].astype(np.float32)
    return whole

"""Vectors as they are sent: read into arrays, and matched with what the namespace has declared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prismhouse.kit.errors import FieldFault, field_fault
from prismhouse.storage.postgres.brought_vectors import Brought, SparseVector
from prismhouse.storage.postgres.halfvec import LARGEST_VALUE
from prismhouse.storage.postgres.vectors import MAX_DIMENSIONS, MAX_EXACT_DIMENSIONS, MAX_SPARSE_DIMENSIONS

__all__ = [
    "MAX_SPARSE_VALUES",
    "MAX_VECTORS_OF_DOCUMENT",
    "MOST_DIMENSIONS",
    "Sent",
    "Unreadable",
    "fault_of",
    "inferred",
    "read_vector",
]

MAX_VECTORS_OF_DOCUMENT = 2_048
MAX_SPARSE_VALUES = 16_000
MOST_DIMENSIONS = {"dense": MAX_EXACT_DIMENSIONS, "multi": MAX_DIMENSIONS, "sparse": MAX_SPARSE_DIMENSIONS}
Path = Sequence[str | int]


class Unreadable(ValueError):
    """Why a value is no vector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A vector as it was sent. `kind`: dense, multi or sparse; `dimension`: least for a sparse one."""

    kind: str
    dimension: int
    value: Brought


def read_vector(given: Any) -> Sent:
    """Return the vector that `given` is; raise Unreadable saying what is wrong with it."""
    if isinstance(given, Mapping):
        return _sparse(given)
    if not isinstance(given, list) or not given:
        raise Unreadable("must be a list of numbers, a list of such lists, or {indices, values}")
    if isinstance(given[0], list):
        return _multi(given)
    return Sent(kind="dense", dimension=len(given), value=_numbers(given))


def _numbers(given: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
    if not isinstance(given, list) or not given or not set(map(type, given)) <= {int, float}:
        raise Unreadable("must hold numbers only")
    try:
        numbers = np.asarray(given, np.float64)
    except OverflowError:
        numbers = np.asarray([np.inf])
    if not np.all(np.abs(numbers) <= LARGEST_VALUE):
        raise Unreadable(f"has a value that is not a number from -{LARGEST_VALUE:.0f} to {LARGEST_VALUE:.0f}")
    return numbers.astype(np.float32)


def _multi(given: list[Any]) -> Sent:
    if len(given) > MAX_VECTORS_OF_DOCUMENT:
        raise Unreadable(f"has {len(given)} vectors; a document has at most {MAX_VECTORS_OF_DOCUMENT} under one name")
    rows = [_numbers(row) for row in given]
    sizes = sorted({len(row) for row in rows})
    if len(sizes) > 1:
        raise Unreadable(f"has vectors of different sizes ({', '.join(map(str, sizes))})")
    return Sent(kind="multi", dimension=sizes[0], value=np.stack(rows))


def _sparse(given: Mapping[str, Any]) -> Sent:
    if set(given) != {"indices", "values"}:
        raise Unreadable("must have `indices` and `values`, and nothing else")
    indices, values = given["indices"], given["values"]
    if not isinstance(indices, list) or not set(map(type, indices)) <= {int}:
        raise Unreadable("must have whole numbers as `indices`")
    numbers = _numbers(values)
    if len(indices) != len(numbers) or len(set(indices)) != len(indices):
        raise Unreadable("must have as many `values` as `indices`, each index once")
    if min(indices) < 0 or max(indices) >= MAX_SPARSE_DIMENSIONS:
        raise Unreadable(f"has an index that is not from 0 to {MAX_SPARSE_DIMENSIONS - 1}")
    if len(indices) > MAX_SPARSE_VALUES:
        raise Unreadable(f"has {len(indices)} values; a sparse vector has at most {MAX_SPARSE_VALUES}")
    if not np.any(numbers):
        raise Unreadable("holds zeros only")
    value = SparseVector(indices=indices, values=numbers.tolist())
    return Sent(kind="sparse", dimension=max(indices) + 1, value=value)


def inferred(name: str, sent: Sent) -> dict[str, Any]:
    """Return the declaration that follows from the first vector under a name."""
    if sent.kind == "sparse":
        return {"name": name, "dimension": None, "metric": "dot_product", "type": "sparse"}
    return {"name": name, "dimension": sent.dimension, "metric": "cosine", "type": sent.kind}


def fault_of(sent: Sent, config: Mapping[str, Any], location: Path) -> FieldFault | None:
    """Return what keeps a vector out of the index that it names."""
    name, dimension, kind = config["name"], config["dimension"], config.get("type") or sent.kind
    if kind != sent.kind:
        return field_fault(location, f"is {sent.kind}, and the vectors of {name} are {kind}")
    if kind == "sparse":
        fits = dimension is None or sent.dimension <= dimension
        return None if fits else field_fault(location, f"has an index beyond the {dimension} dimensions of {name}")
    if sent.dimension != dimension:
        message = f"has {sent.dimension} dimensions, not the {dimension} of {name}"
        return field_fault(location, message, "dimension_mismatch")
    if sent.dimension > MOST_DIMENSIONS[kind]:
        message = f"has {sent.dimension} dimensions; {kind} vectors have at most {MOST_DIMENSIONS[kind]}"
        return field_fault(location, message)
    if config["metric"] == "cosine" and not _has_direction(sent.value):
        message = f"is zero in half precision, and the metric of {name} is cosine: a zero vector has no direction"
        return field_fault(location, message, "zero_vector")
    return None


def _has_direction(value: Brought) -> bool:
    assert not isinstance(value, SparseVector)  # noqa: S101 - the kind was compared before
    return bool(np.all(np.any(np.atleast_2d(value).astype(np.float16), axis=1)))

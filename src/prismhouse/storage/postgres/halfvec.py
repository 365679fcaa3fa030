"""Half-precision vectors in PostgreSQL's binary format: a quarter of the text form's bytes, and no parsing.

A statement casts the parameter (`%(query)b::halfvec`), so that the server knows its type: `halfvec` belongs to an
extension and has another type number in every database.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

__all__ = ["LARGEST_VALUE", "HalfVector", "half_vector", "half_vectors"]

LARGEST_VALUE = 65_504.0


class HalfVector:
    """Bytes as `halfvec` or `halfvec[]` sends them; made by `half_vector` and `half_vectors`."""

    __slots__ = ("raw",)

    def __init__(self, raw: bytes) -> None:
        self.raw = raw


class _HalfVectorDumper(Dumper):
    format = Format.BINARY
    oid = 0

    def dump(self, obj: HalfVector) -> bytes:
        return obj.raw


psycopg.adapters.register_dumper(HalfVector, _HalfVectorDumper)


def half_vector(vector: npt.NDArray[np.float32]) -> HalfVector:
    """Return a `(d,)` vector as a parameter for `%(name)b::halfvec`."""
    return HalfVector(struct.pack(">hh", len(vector), 0) + vector.astype(">f2").tobytes())


def half_vectors(vectors: npt.NDArray[np.float32], type_oid: int) -> HalfVector:
    """Return `(n, d)` vectors as a parameter for `%(name)b::halfvec[]`; `type_oid` is that of `halfvec`."""
    count, dimensions = vectors.shape
    row = np.dtype([("size", ">i4"), ("dimensions", ">i2"), ("unused", ">i2"), ("values", ">f2", (dimensions,))])
    rows = np.zeros(count, dtype=row)
    rows["size"] = 4 + 2 * dimensions
    rows["dimensions"] = dimensions
    rows["values"] = vectors
    return HalfVector(struct.pack(">iiIii", 1, 0, type_oid, count, 1) + rows.tobytes())

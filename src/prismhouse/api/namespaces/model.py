"""Rules of a namespace's payload indexes, of the vectors brought to it, and of its life time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from prismhouse.kit.errors import Invalid, field_fault

__all__ = [
    "MOST_VECTORS",
    "SYSTEM_INDEXES",
    "BroughtVector",
    "VectorSpace",
    "checked_vector_name",
    "declared_vectors",
    "expiry_of",
    "merged_indexes",
]

_KEYWORDS = (
    "internal_id",
    "namespace_id",
    "collection_id",
    "document_id",
    "bucket_id",
    "object_id",
    "root_object_id",
    "root_bucket_id",
    "source_object_id",
)
SYSTEM_INDEXES: tuple[Mapping[str, Any], ...] = (
    *({"field_name": name, "type": "keyword", "is_protected": True} for name in _KEYWORDS),
    *({"field_name": name, "type": "datetime", "is_protected": True} for name in ("created_at", "updated_at")),
)
_SYSTEM_TYPES = {str(index["field_name"]): index["type"] for index in SYSTEM_INDEXES}


def merged_indexes(given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the system indexes followed by the given ones; raise Invalid for a retyped or repeated field.

    A system index given back as it stands is no fault: clients send what they read.
    """
    faults, user, seen = [], [], set[str]()
    for position, index in enumerate(given):
        name = index["field_name"]
        system = _SYSTEM_TYPES.get(name)
        if system is not None and index["type"] != system:
            text = f"{name} is a system index of type {system} and cannot be changed"
            faults.append(field_fault(["body", "payload_indexes", position, "type"], text))
        elif name in seen:
            text = f"{name} is given twice"
            faults.append(field_fault(["body", "payload_indexes", position, "field_name"], text))
        elif system is None:
            user.append({key: value for key, value in index.items() if value is not None} | {"is_protected": False})
        seen.add(name)
    if faults:
        raise Invalid(faults)
    return [*(dict(index) for index in SYSTEM_INDEXES), *user]


# A vector's name ends a feature URI and is a field of its document's where vectors are shown.
_VECTOR_NAME = re.compile(r"^[^\s/_\x00-\x1f\x7f][^\s/\x00-\x1f\x7f]{0,127}$")
_FIELDS_OF_DOCUMENTS = frozenset(
    {"collection_id", "document_blobs", "document_id", "score", "searchable_at", "vector_hydration_incomplete"}
)
MOST_VECTORS = 100


def checked_vector_name(given: str) -> str:
    """Return a vector's name; raise ValueError for one that cannot be one."""
    if not _VECTOR_NAME.match(given) or given in _FIELDS_OF_DOCUMENTS:
        raise ValueError(
            "needs 1 to 128 characters without spaces and slashes, not beginning with _, and no name of the server's"
        )
    return given


class BroughtVector(Protocol):
    """A vector index as it is declared."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        ...

    @property
    def metric(self) -> str:
        """How vectors are compared: cosine, euclidean or dot_product."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorSpace:
    """The vectors that users bring to a namespace.

    `configs` has name, dimension (null for sparse ones of any), metric, and once known `type` (dense, multi, sparse)
    and `inference_service`. `inferred`: a name that is new is declared by the first vector under it.
    """

    mode: str
    configs: Sequence[Mapping[str, Any]]
    inferred: bool


def declared_vectors(given: Sequence[BroughtVector]) -> list[dict[str, Any]]:
    """Return the declared vectors as they are stored; raise Invalid for a name given twice."""
    names = [one.name for one in given]
    if faults := [
        field_fault(["body", "vector_configs", position, "name"], f"{name} is given twice")
        for position, name in enumerate(names)
        if name in names[:position]
    ]:
        raise Invalid(faults)
    return [{"name": one.name, "dimension": one.dimension, "metric": one.metric} for one in given]


def expiry_of(*, ttl_seconds: int | None, expires_at: datetime | None, now: datetime) -> datetime | None:
    """Return when the namespace ends, in UTC; raise Invalid for a moment that has passed."""
    if expires_at is not None:
        moment = expires_at if expires_at.tzinfo else expires_at.replace(tzinfo=UTC)
        if moment <= now:
            raise Invalid([field_fault(["body", "expires_at"], "must lie in the future")])
        return moment
    if ttl_seconds is None:
        return None
    try:
        return now + timedelta(seconds=ttl_seconds)
    except OverflowError as error:
        raise Invalid([field_fault(["body", "ttl_seconds"], "lies beyond the calendar")]) from error

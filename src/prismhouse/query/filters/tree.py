"""A filter as values: conditions joined by And, Or and Not. Made by `parse`, read by `sql` and `evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = ["EVERYTHING", "And", "Condition", "Filter", "Not", "Operator", "Or", "Point", "fields_of"]


class Operator(StrEnum):
    """What a condition asks of a field."""

    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    IN = "in"
    NIN = "nin"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    REGEX = "regex"
    EXISTS = "exists"
    IS_NULL = "is_null"
    TEXT = "text"
    PHRASE = "phrase"
    WORDS = "words"
    GEO_RADIUS = "geo_radius"
    GEO_BOUNDING_BOX = "geo_bounding_box"
    GEO_POLYGON = "geo_polygon"


@dataclass(frozen=True, slots=True)
class Point:
    """Degrees: `lat` from -90 to 90, `lon` from -180 to 180."""

    lat: float
    lon: float


@dataclass(frozen=True, slots=True)
class Condition:
    """A test of one field; true or false for every document, never unknown.

    `value` by operator: a scalar; a tuple for `in` and `nin`; `(Point, metres)` for `geo_radius`; `(top left, bottom
    right)` for `geo_bounding_box`; a tuple of points for `geo_polygon`.
    """

    field: str
    operator: Operator
    value: Any
    case_sensitive: bool = False


@dataclass(frozen=True, slots=True)
class And:
    """All are true; with no parts, everything."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one is true."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part is false: a document without the field is in the complement."""

    part: Filter


Filter = Condition | And | Or | Not
EVERYTHING = And(())


def fields_of(filter_: Filter) -> set[str]:
    """Return the names of all fields that the filter tests."""
    match filter_:
        case Condition(field=field):
            return {field}
        case Not(part=part):
            return fields_of(part)
        case And(parts=parts) | Or(parts=parts):
            return set().union(*(fields_of(part) for part in parts))

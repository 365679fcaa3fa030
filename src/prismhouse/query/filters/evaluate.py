"""The same filter in Python, for records that are already in memory. Its answers equal those of the SQL."""

from __future__ import annotations

import asyncio
import math
import operator as op
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeGuard

from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.query.filters.annotations import about_annotations, refuse_annotations
from prismhouse.query.filters.columns import Columns, Kind, Path, Place, document_columns
from prismhouse.query.filters.english import stems_of
from prismhouse.query.filters.patterns import PATTERN_SECONDS, found, patterns_within
from prismhouse.query.filters.tree import And, Condition, Filter, Not, Operator, Or, Point
from prismhouse.query.filters.values import equivalents, moment_of, number_of, words_of

__all__ = ["PatternTooSlow", "matches", "matching"]

_EARTH_METRES = 6_371_008.8
_COMPARISONS: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.GT: op.gt,
    Operator.GTE: op.ge,
    Operator.LT: op.lt,
    Operator.LTE: op.le,
}
_DOCUMENTS = document_columns()


class PatternTooSlow(WarehouseError):
    """The condition {condition} took more than {seconds} s."""

    code = Code.INVALID
    hint = "Write the pattern without nested repetitions and back references, or use contains, text or words."


def matches(filter_: Filter, record: Mapping[str, Any], columns: Columns = _DOCUMENTS) -> bool:
    """Return whether `record`, as the API shows it, passes; raise PatternTooSlow, or Invalid for annotations."""
    match filter_:
        case Condition():
            if columns.annotated is not None and about_annotations(filter_):
                refuse_annotations(filter_, ["filters"])
            return _condition(filter_, record, columns)
        case Not(part=part):
            return not matches(part, record, columns)
        case And(parts=parts):
            return all(matches(part, record, columns) for part in parts)
        case Or(parts=parts):
            return any(matches(part, record, columns) for part in parts)


async def matching(
    filter_: Filter,
    records: Sequence[Mapping[str, Any]],
    columns: Columns = _DOCUMENTS,
    *,
    seconds: float = PATTERN_SECONDS,
) -> list[bool]:
    """Return which of many records pass, away from the event loop; raise PatternTooSlow past so many seconds."""

    def decide() -> list[bool]:
        with patterns_within(seconds):
            return [matches(filter_, record, columns) for record in records]

    return await asyncio.to_thread(decide)


def _condition(condition: Condition, record: Mapping[str, Any], columns: Columns) -> bool:
    places = columns.places(condition.field)
    match condition.operator:
        case Operator.NE:
            return not _equals(condition, [condition.value], record, places)
        case Operator.NIN:
            return not _equals(condition, condition.value, record, places)
        case Operator.EQ:
            return _equals(condition, [condition.value], record, places)
        case Operator.IN:
            return _equals(condition, condition.value, record, places)
    place, raws = _there(record, places)
    if condition.operator is Operator.EXISTS:
        return bool(raws) is condition.value
    if condition.operator is Operator.IS_NULL:
        return _null(raws) is condition.value
    if condition.operator in _GEO:
        return place.kind is Kind.JSON and _geo(condition, raws)
    return any(_test(condition, value, place.kind) for value in _elements(raws))


def _there(record: Mapping[str, Any], places: tuple[Place, ...]) -> tuple[Place, list[Any]]:
    for place in places:
        raws = _raws(record, place.shown)
        if place.kind is not Kind.JSON:
            raws = [raw for raw in raws if raw is not None]
        if raws:
            return place, raws
    return places[-1], []


def _raws(record: Mapping[str, Any], path: Path) -> list[Any]:
    """Return the values at `path`, stepping into the objects of arrays."""
    found: list[Any] = [record]
    for name in path:
        found = [
            holder[name]
            for value in found
            for holder in (value if isinstance(value, list) else (value,))
            if isinstance(holder, Mapping) and name in holder
        ]
    return found


def _elements(raws: Iterable[Any]) -> Iterable[Any]:
    for raw in raws:
        if isinstance(raw, list):
            yield from raw
        else:
            yield raw


def _null(raws: list[Any]) -> bool:
    return all(raw is None for raw in raws)


def _equals(condition: Condition, wanted: Iterable[Any], record: Mapping[str, Any], places: tuple[Place, ...]) -> bool:
    place, raws = _there(record, places)
    scalars = [scalar for value in wanted if value is not None for scalar in equivalents(value)]
    if any(
        _same(value, scalar, place.kind, condition.case_sensitive) for value in _elements(raws) for scalar in scalars
    ):
        return True
    return any(value is None for value in wanted) and _null(raws)


def _same(value: Any, scalar: Any, kind: Kind, case_sensitive: bool) -> bool:
    if kind is Kind.TIME:
        moment = moment_of(scalar)
        return moment is not None and moment == moment_of(value)
    if kind is Kind.TEXT or (case_sensitive and isinstance(scalar, str)):
        return isinstance(value, str) and value == scalar
    if isinstance(scalar, str):
        return isinstance(value, str) and value.lower() == scalar.lower()
    if isinstance(scalar, bool) or isinstance(value, bool):
        return value is scalar
    return isinstance(value, int | float | Decimal) and number_of(value) == number_of(scalar)


def _test(condition: Condition, value: Any, kind: Kind) -> bool:
    if condition.operator in _COMPARISONS:
        return _ordered(_COMPARISONS[condition.operator], value, condition.value, kind)
    if kind is Kind.TIME:
        return False
    if isinstance(value, str):
        return _string(condition, value)
    if condition.operator is Operator.CONTAINS:
        others = [s for s in equivalents(condition.value) if not isinstance(s, str)]
        return any(_same(value, scalar, Kind.JSON, False) for scalar in others)
    return False


def _ordered(compare: Callable[[Any, Any], bool], value: Any, wanted: Any, kind: Kind) -> bool:
    moment = moment_of(wanted)
    if kind is Kind.TIME:
        stored = moment_of(value)
        return moment is not None and stored is not None and compare(stored, moment)
    number = number_of(wanted)
    if number is not None and (stored_number := number_of(value)) is not None:
        return compare(stored_number, number)
    if not isinstance(value, str) or not isinstance(wanted, str):
        return False
    if moment is not None and (stored_moment := moment_of(value)) is not None:
        return compare(stored_moment, moment)
    return compare(value, wanted)


def _string(condition: Condition, value: str) -> bool:
    wanted = condition.value
    match condition.operator:
        case Operator.REGEX:
            return _search(condition, value)
        case Operator.WORDS:
            return stems_of(wanted) <= stems_of(value)
        case Operator.PHRASE:
            return f" {' '.join(words_of(wanted))} " in f" {' '.join(words_of(value))} "
    if not condition.case_sensitive or condition.operator is Operator.TEXT:
        value, wanted = value.lower(), wanted.lower()
    match condition.operator:
        case Operator.STARTS_WITH:
            return value.startswith(wanted)
        case Operator.ENDS_WITH:
            return value.endswith(wanted)
    return wanted in value


def _search(condition: Condition, value: str) -> bool:
    try:
        return found(condition.value, value, case_sensitive=condition.case_sensitive)
    except TimeoutError as error:
        raise PatternTooSlow(condition=f"`{condition.field} regex {condition.value}`", seconds=error.args[0]) from error


# Places on the Earth


def _points(raws: Iterable[Any]) -> Iterable[Point]:
    for raw in raws:
        for one in (raw, *(raw if isinstance(raw, list) else ())):
            if isinstance(one, Mapping):
                lat, lon = one.get("lat"), one.get("lon")
            elif isinstance(one, list) and len(one) == 2:
                lon, lat = one
            else:
                continue
            if _is_number(lat) and _is_number(lon):
                yield Point(float(lat), float(lon))


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _geo(condition: Condition, raws: list[Any]) -> bool:
    inside = _GEO[condition.operator]
    return any(inside(point, condition.value) for point in _points(raws))


def _in_radius(point: Point, value: tuple[Point, float]) -> bool:
    centre, metres = value
    lat_a, lat_b = math.radians(point.lat), math.radians(centre.lat)
    across = math.sin(math.radians(centre.lat - point.lat) / 2) ** 2
    along = math.sin(math.radians(centre.lon - point.lon) / 2) ** 2
    half = across + math.cos(lat_a) * math.cos(lat_b) * along
    return 2 * _EARTH_METRES * math.asin(math.sqrt(min(1.0, half))) <= metres


def _in_box(point: Point, value: tuple[Point, Point]) -> bool:
    top_left, bottom_right = value
    if not bottom_right.lat <= point.lat <= top_left.lat:
        return False
    if top_left.lon <= bottom_right.lon:
        return top_left.lon <= point.lon <= bottom_right.lon
    return point.lon >= top_left.lon or point.lon <= bottom_right.lon


def _in_polygon(point: Point, corners: tuple[Point, ...]) -> bool:
    """Count how often the border winds around the point; on the border is inside."""
    winding = 0
    for start, end in zip(corners, (*corners[1:], corners[0]), strict=True):
        side = (end.lon - start.lon) * (point.lat - start.lat) - (point.lon - start.lon) * (end.lat - start.lat)
        within_lon = min(start.lon, end.lon) <= point.lon <= max(start.lon, end.lon)
        within_lat = min(start.lat, end.lat) <= point.lat <= max(start.lat, end.lat)
        if side == 0 and within_lon and within_lat:
            return True
        if start.lat <= point.lat < end.lat and side > 0:
            winding += 1
        elif end.lat <= point.lat < start.lat and side < 0:
            winding -= 1
    return winding != 0


_GEO: dict[Operator, Callable[[Point, Any], bool]] = {
    Operator.GEO_RADIUS: _in_radius,
    Operator.GEO_BOUNDING_BOX: _in_box,
    Operator.GEO_POLYGON: _in_polygon,
}

"""What operators accept, and how a value compares with another of a different type."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from prismhouse.query.filters.patterns import UnfitPattern, checked_pattern
from prismhouse.query.filters.tree import Operator, Point

__all__ = [
    "NUMBER_PATTERN",
    "ValueFault",
    "checked_field",
    "checked_value",
    "equivalents",
    "is_template",
    "moment_of",
    "number_of",
    "words_of",
]

MAX_LIST = 10_000
MAX_WORDS = 200
# PostgreSQL leaves longer words out of its text search, and a path of more steps than a document can be deep is none.
MAX_WORD_LENGTH = 500
MAX_STEPS = 64
MAX_FIELD_LENGTH = 1_000
# The number spellings that count as numbers inside strings; PostgreSQL and Python read them alike.
NUMBER_PATTERN = r"^-?(0|[1-9][0-9]{0,29})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?$"
_NUMBER = re.compile(NUMBER_PATTERN)
_CLOCK = r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:\.(\d{1,6}))?)?"
_MOMENT = re.compile(rf"(\d{{4}})-(\d\d)-(\d\d)(?:[Tt ]{_CLOCK}(?:([Zz])|([+-])(0\d|1[0-4]):?([0-5]\d))?)?", re.ASCII)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - both sides of the subtraction are UTC
_WORD = re.compile(r"\w+")


class ValueFault(ValueError):
    """A value the operator does not take; `below` leads to the place inside the value."""

    def __init__(self, message: str, *below: str | int) -> None:
        super().__init__(message)
        self.below = below


def is_template(value: Any) -> bool:
    """Return whether the value stands for an input that is known only when the filter runs."""
    if isinstance(value, dict):
        return value.get("type") == "dynamic" and "field" in value
    if isinstance(value, list):
        return any(is_template(item) for item in value)
    return isinstance(value, str) and "{{" in value


def checked_text(value: str) -> str:
    """Return the text; raise ValueFault for text that JSON in PostgreSQL cannot hold."""
    if "\x00" in value:
        raise ValueFault("must not contain the character U+0000")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueFault("must be valid Unicode") from error
    return value


def checked_field(name: str) -> str:
    """Return the dotted path; raise ValueFault for one with an empty step, or longer than any document has."""
    steps = checked_text(name).split(".")
    if not all(steps):
        raise ValueFault("must be a dotted path such as metadata.category")
    if len(steps) > MAX_STEPS or len(name) > MAX_FIELD_LENGTH:
        raise ValueFault(f"must have at most {MAX_STEPS} steps and {MAX_FIELD_LENGTH} characters")
    return name


def checked_value(operator: Operator, value: Any) -> Any:
    """Return the operand in the form that `Condition` documents; raise ValueFault."""
    return _CHECKS[operator](value)


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        return checked_text(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise ValueFault("must be a string, number, true, false or null; use `in` for a list")


def _list(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ValueFault("must be a list")
    if len(value) > MAX_LIST:
        raise ValueFault(f"must hold at most {MAX_LIST} values")
    return tuple(_scalar(item) for item in value)


def _ordered(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueFault("must be a number, an ISO-8601 date or a string")
    return _scalar(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or not isinstance(value, str | int | float):
        raise ValueFault("must be a string")
    return str(_scalar(value))


def _words(value: Any) -> str:
    text = _text(value)
    words = _WORD.findall(text)
    if not words:
        raise ValueFault("must hold at least one word")
    if len(words) > MAX_WORDS or max(map(len, words)) > MAX_WORD_LENGTH:
        raise ValueFault(f"must hold at most {MAX_WORDS} words of at most {MAX_WORD_LENGTH} characters")
    return text


def _pattern(value: Any) -> str:
    try:
        return checked_pattern(_text(value))
    except UnfitPattern as fault:
        raise ValueFault(str(fault)) from fault


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueFault("must be true or false")
    return value


def _degrees(value: Any, limit: float, *below: str | int) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -limit <= value <= limit:
        raise ValueFault(f"must be a number from -{limit:g} to {limit:g}", *below)
    return float(value)


def _point(value: Any, *below: str | int) -> Point:
    if isinstance(value, dict):
        return Point(_degrees(value.get("lat"), 90, *below, "lat"), _degrees(value.get("lon"), 180, *below, "lon"))
    if isinstance(value, list | tuple) and len(value) == 2:
        return Point(_degrees(value[1], 90, *below, 1), _degrees(value[0], 180, *below, 0))
    raise ValueFault("must be a point: {lat, lon} or [lon, lat]", *below)


def _object(value: Any, shape: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueFault(f"must be {shape}")
    return value


def _radius(value: Any) -> tuple[Point, float]:
    given = _object(value, "{center, radius} with the radius in metres")
    radius = given.get("radius")
    if isinstance(radius, bool) or not isinstance(radius, int | float) or not 0 <= radius < math.inf:
        raise ValueFault("must be a number of metres, 0 or more", "radius")
    return _point(given.get("center"), "center"), float(radius)


def _box(value: Any) -> tuple[Point, Point]:
    given = _object(value, "{top_left, bottom_right}")
    return _point(given.get("top_left"), "top_left"), _point(given.get("bottom_right"), "bottom_right")


def _polygon(value: Any) -> tuple[Point, ...]:
    points = _object(value, "{points}").get("points")
    if not isinstance(points, list) or not 3 <= len(points) <= 1_000:
        raise ValueFault("must be a list of 3 to 1000 points", "points")
    return tuple(_point(item, "points", i) for i, item in enumerate(points))


_CHECKS: dict[Operator, Callable[[Any], Any]] = {
    Operator.EQ: _scalar,
    Operator.NE: _scalar,
    Operator.GT: _ordered,
    Operator.GTE: _ordered,
    Operator.LT: _ordered,
    Operator.LTE: _ordered,
    Operator.IN: _list,
    Operator.NIN: _list,
    Operator.CONTAINS: _text,
    Operator.STARTS_WITH: _text,
    Operator.ENDS_WITH: _text,
    Operator.REGEX: _pattern,
    Operator.EXISTS: _flag,
    Operator.IS_NULL: _flag,
    Operator.TEXT: _text,
    Operator.PHRASE: _words,
    Operator.WORDS: _words,
    Operator.GEO_RADIUS: _radius,
    Operator.GEO_BOUNDING_BOX: _box,
    Operator.GEO_POLYGON: _polygon,
}


def equivalents(value: Any) -> list[Any]:
    """Return the JSON scalars that equal `value`: itself, and its spelling or reading in another type."""
    if isinstance(value, bool):
        return [value, "true" if value else "false"]
    if isinstance(value, int):
        return [value, str(value)]
    if isinstance(value, float):
        whole = [str(int(value))] if value.is_integer() and abs(value) < 1e15 else []
        return [value, repr(value), *whole]
    found: list[Any] = [value]
    if (number := number_of(value)) is not None:
        found.append(number)
    if value.lower() in {"true", "false"}:
        found.append(value.lower() == "true")
    return found


def number_of(value: Any) -> Decimal | None:
    """Return the number that a number or a numeric string is, exactly as it is written."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | Decimal):
        return Decimal(value)
    if isinstance(value, float):
        return Decimal(repr(value)) if math.isfinite(value) else None
    if isinstance(value, str) and len(value) < 80 and not value.endswith("\n") and _NUMBER.match(value):
        return Decimal(value)
    return None


def moment_of(value: Any) -> timedelta | None:
    """Return the time since 1970 UTC of an ISO-8601 text; without a zone it is UTC, a date is its midnight."""
    found = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, _, sign, zone_hours, zone_minutes = found.groups()
    try:
        local = datetime(  # noqa: DTZ001 - the zone is taken off below, without overflow at the ends of time
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0),
            int((fraction or "0").ljust(6, "0")),
        )  # fmt: skip
    except ValueError:
        return None
    offset = timedelta(hours=int(zone_hours or 0), minutes=int(zone_minutes or 0))
    return local - _EPOCH - (-offset if sign == "-" else offset)


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case."""
    return _WORD.findall(text.lower())

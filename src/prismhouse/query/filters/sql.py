"""Tree to SQL. Values and field names are bound parameters; only expressions of `Columns` stand in the text.

Equality uses `@?`, which the GIN index on a document's payload serves, also through arrays. Strings are compared
without letter case unless asked otherwise, which that index cannot do: there, the text index gives the
candidates (the same string has the same terms) and the comparison decides. A string with letters outside ASCII,
or of stop words only, is found by looking at every document of the collection.

Run these statements with `prepare=False`: the planner must see the values to pick an index.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeGuard

from prismhouse.kit import json
from prismhouse.query.filters.annotations import about_annotations, annotated, together
from prismhouse.query.filters.columns import Columns, Kind, Place
from prismhouse.query.filters.keys import SEVERAL, json_path, key_of
from prismhouse.query.filters.tree import And, Condition, Filter, Not, Operator, Or, Point
from prismhouse.query.filters.values import NUMBER_PATTERN, equivalents, moment_of, number_of, words_of

__all__ = ["is_indexed", "to_sql"]

_TEXT = "(v.value #>> '{}')"
_FOLDED = f'lower({_TEXT} COLLATE "pg_unicode_fast")'
_IS_TEXT = "jsonb_typeof(v.value) = 'string'"
_COMPARISONS = {Operator.GT: ">", Operator.GTE: ">=", Operator.LT: "<", Operator.LTE: "<="}
_LONGEST_CANDIDATE = 200
# Below every number that a document can hold.
_LEAST_NUMBER = "'[-1e10000]'::jsonb"
# Terms of so many texts still make a query quickly; a path of more alternatives exceeds PostgreSQL's stack.
_MOST_CANDIDATES = 100
_ALTERNATIVES = 200


def to_sql(filter_: Filter, columns: Columns, *, prefix: str = "f") -> tuple[str, dict[str, Any]]:
    """Return a condition for WHERE with its parameters, which are named `<prefix><number>`."""
    compiler = _Compiler(columns, prefix)
    return compiler.filter(filter_), compiler.parameters


def is_indexed(filter_: Filter, columns: Columns) -> bool:
    """Return whether an index gives few candidates when few records match, so that no scan is needed."""
    match filter_:
        case And(parts=parts):
            return any(is_indexed(part, columns) for part in parts)
        case Or(parts=parts):
            return bool(parts) and all(is_indexed(part, columns) for part in parts)
        case Condition() if columns.annotated is not None and about_annotations(filter_):
            return False
        case Condition(operator=Operator.EQ | Operator.IN | Operator.WORDS):
            return _has_index(filter_, columns)
    return False


def _has_index(condition: Condition, columns: Columns) -> bool:
    places = columns.places(condition.field)
    if places[0].kind is Kind.TEXT:
        return True
    if not all(place.indexed for place in places) or condition.operator is Operator.WORDS:
        return condition.operator is Operator.WORDS and all(place.indexed for place in places)
    values = condition.value if condition.operator is Operator.IN else [condition.value]
    return all(
        value is not None and (not isinstance(value, str) or not _has_case(value) or value.isascii())
        for value in values
    )


class _Compiler:
    def __init__(self, columns: Columns, prefix: str) -> None:
        self._columns = columns
        self._prefix = prefix
        self.parameters: dict[str, Any] = {}

    def bind(self, value: Any) -> str:
        name = f"{self._prefix}{len(self.parameters)}"
        self.parameters[name] = value
        return f"%({name})s"

    def filter(self, filter_: Filter) -> str:
        match filter_:
            case Condition():
                return self._annotated([filter_]) if self._about(filter_) else self._condition(filter_)
            case Not(part=part) if self._about(part):
                return f"NOT {self.filter(part)}"  # as the planner knows it: an anti-join
            case Not(part=part):
                return f"({self.filter(part)}) IS NOT TRUE"
            case And(parts=parts) if any(map(self._about, parts)):
                one, rest = together(parts)
                return f"({' AND '.join([*([self._annotated(one)] if one else []), *self._all(rest)])})"
            case And(parts=parts):
                return f"({' AND '.join(self._all(parts))})" if parts else "true"
            case Or(parts=parts):
                return f"({' OR '.join(map(self.filter, parts))})" if parts else "false"

    def _about(self, filter_: Filter) -> bool:
        return self._columns.annotated is not None and about_annotations(filter_)

    def _annotated(self, conditions: list[Condition]) -> str:
        return annotated(conditions, self._columns.annotated or "", compile_over=self._over, bind=self.bind)

    def _over(self, filter_: Filter, columns: Columns) -> str:
        """Compile over other columns, with parameters among ours."""
        inner = _Compiler(columns, self._prefix)
        inner.parameters = self.parameters
        return inner.filter(filter_)

    def _all(self, parts: Sequence[Filter]) -> Iterator[str]:
        """Yield the conditions that hold together; those on one index key are one range of it."""
        ranges: dict[str, list[Condition]] = {}
        for part in parts:
            if self._is_range(part):
                ranges.setdefault(part.field, []).append(part)
            else:
                yield self.filter(part)
        for conditions in ranges.values():
            yield self._range(conditions)
            for condition in conditions:
                yield self._in_place(condition.field, lambda place, c=condition: self._test(place, c))

    def _is_range(self, part: Filter) -> TypeGuard[Condition]:
        return isinstance(part, Condition) and part.operator in _COMPARISONS and part.field in self._columns.keyed

    def _condition(self, condition: Condition) -> str:
        match condition.operator:
            case Operator.NE | Operator.NIN:
                positive = Operator.EQ if condition.operator is Operator.NE else Operator.IN
                same = Condition(condition.field, positive, condition.value, condition.case_sensitive)
                return f"({self._condition(same)}) IS NOT TRUE"
            case Operator.EXISTS:
                found = " OR ".join(self._present(p) for p in self._columns.places(condition.field))
                return f"({found})" if condition.value else f"({found}) IS NOT TRUE"
            case Operator.IS_NULL:
                null = self._in_place(condition.field, self._null)
                return null if condition.value else f"({null}) IS NOT TRUE"
            case Operator.EQ | Operator.IN:
                return self._equals(condition)
        tested = self._in_place(condition.field, lambda place: self._test(place, condition))
        return f"({self._range([condition])} AND {tested})" if self._is_range(condition) else tested

    def _in_place(self, field: str, test: Any) -> str:
        """Test the first place that is there: later ones count only where the earlier are absent."""
        *earlier, last = self._columns.places(field)
        result: str = test(last)
        for place in reversed(earlier):
            present = self._present(place)
            result = f"({test(place)} AND {present} OR ({present}) IS NOT TRUE AND {result})"
        return result

    def _present(self, place: Place) -> str:
        if place.kind is not Kind.JSON:
            return f"{place.sql} IS NOT NULL"
        return f"jsonb_path_exists({place.sql}, {self.bind(json_path(place.path))}::jsonpath)"

    def _null(self, place: Place) -> str:
        if place.kind is not Kind.JSON:
            return f"{place.sql} IS NULL"
        path = json_path(place.path, '.type() ? (@ != "null")')
        return f"NOT jsonb_path_exists({place.sql}, {self.bind(path)}::jsonpath)"

    # Equality

    def _equals(self, condition: Condition) -> str:
        wanted = [condition.value] if condition.operator is Operator.EQ else list(condition.value)
        scalars = [scalar for value in wanted if value is not None for scalar in equivalents(value)]
        tests = []
        if scalars:
            tests.append(self._in_place(condition.field, lambda place: self._among(place, scalars, condition)))
        if None in wanted:
            tests.append(self._in_place(condition.field, self._null))
        return f"({' OR '.join(tests)})" if tests else "false"

    def _among(self, place: Place, scalars: list[Any], condition: Condition) -> str:
        texts = [s for s in scalars if isinstance(s, str)]
        if place.kind is Kind.TEXT:
            return f"{place.sql} = ANY({self.bind(texts)}::text[])"
        if place.kind is Kind.TIME:
            moments = [text for text in texts if moment_of(text) is not None]
            if not moments:
                return "false"
            return " OR ".join(f"{place.sql} = as_moment({self.bind(moment)})" for moment in moments)
        exact = [s for s in scalars if not isinstance(s, str) or condition.case_sensitive or not _has_case(s)]
        folded = [s.lower() for s in texts if not condition.case_sensitive and _has_case(s)]
        tests = []
        if exact:
            tests += [self._one_of(place, exact[i : i + _ALTERNATIVES]) for i in range(0, len(exact), _ALTERNATIVES)]
        if folded:
            same = self._any(place, f"{_IS_TEXT} AND {_FOLDED} = ANY({self.bind(folded)}::text[])")
            tests.append(f"({self._candidates(place, folded)}{same})")
        return f"({' OR '.join(tests)})"

    def _one_of(self, place: Place, scalars: list[Any]) -> str:
        alternatives = " || ".join(f"@ == {_literal(s)}" for s in scalars)
        # The filter looks into a list by itself, and so does each comparison: a list in a list must be kept out.
        test = f' ? (@.type() != "array" && ({alternatives}))'
        return f"{place.sql} @? {self.bind(json_path(place.path, test))}::jsonpath"

    def _candidates(self, place: Place, texts: list[str]) -> str:
        if not place.indexed or len(texts) > _MOST_CANDIDATES:
            return ""
        if not all(t.isascii() and len(t) <= _LONGEST_CANDIDATE for t in texts):
            return ""
        terms = f"equality_candidates({self.bind(texts)}::text[])"
        return f"({terms} IS NULL OR {self._columns.searchable} @@ {terms}) AND "

    # Tests of any element

    def _any(self, place: Place, test: str) -> str:
        """Return whether `test` holds for any element `v.value` of the place."""
        if place.kind is Kind.JSON:
            path = self.bind(json_path(place.path, "[*]"))
            return f"EXISTS (SELECT FROM jsonb_path_query({place.sql}, {path}::jsonpath) AS v(value) WHERE {test})"
        return f"EXISTS (SELECT FROM (SELECT to_jsonb({place.sql}) AS value) AS v WHERE {test})"

    def _test(self, place: Place, condition: Condition) -> str:
        operator, value = condition.operator, condition.value
        if operator in _COMPARISONS:
            return self._ordered(place, _COMPARISONS[operator], value)
        if place.kind is Kind.TIME:
            return "false"
        if operator in {Operator.GEO_RADIUS, Operator.GEO_BOUNDING_BOX, Operator.GEO_POLYGON}:
            return self._geo(place, operator, value)
        if operator is Operator.WORDS:
            return self._words(place, value)
        test = f"{_IS_TEXT} AND {self._string(operator, value, condition.case_sensitive)}"
        if operator is Operator.CONTAINS and place.kind is Kind.JSON:
            others = [s for s in equivalents(value) if not isinstance(s, str)]
            if others:
                return f"({self._any(place, test)} OR {self._one_of(place, others)})"
        return self._any(place, test)

    def _string(self, operator: Operator, value: str, case_sensitive: bool) -> str:
        folds = operator in {Operator.TEXT, Operator.PHRASE} or not case_sensitive
        subject = _FOLDED if folds else _TEXT
        if operator is Operator.REGEX:
            matches = "~*" if folds else "~"
            return f'({_TEXT} COLLATE "pg_unicode_fast") {matches} {self.bind(value)}::text'
        if operator is Operator.PHRASE:
            words = self.bind(f" {' '.join(words_of(value))} ")
            spaced = f"' ' || regexp_replace({subject}, '\\W+', ' ', 'g') || ' '"
            return f"strpos({spaced}, {words}) > 0"
        needle = self.bind(value.lower() if folds else value)
        if operator is Operator.STARTS_WITH:
            return f"starts_with({subject}, {needle}::text)"
        if operator is Operator.ENDS_WITH:
            return f"right({subject}, char_length({needle}::text)) = {needle}::text"
        return f"strpos({subject}, {needle}::text) > 0"

    def _words(self, place: Place, value: str) -> str:
        terms = f"plainto_tsquery('english', {self.bind(value)})"
        marked = f"({terms} || '''<truncated>''')"
        indexed = f"(numnode({terms}) = 0 OR {self._columns.searchable} @@ {marked}) AND " if place.indexed else ""
        test = f"(numnode({terms}) = 0 OR to_tsvector('english', {_TEXT}) @@ {terms})"
        return f"({indexed}{self._any(place, f'{_IS_TEXT} AND {test}')})"

    def _ordered(self, place: Place, comparison: str, value: Any) -> str:
        number, moment = number_of(value), moment_of(value)
        if place.kind is Kind.TIME:
            return f"{place.sql} {comparison} as_moment({self.bind(value)})" if moment is not None else "false"
        cases = []
        if number is not None:
            bound = f"{self.bind(str(number))}::numeric"
            pattern = f"{_TEXT} ~ '{NUMBER_PATTERN}' AND length({_TEXT}) < 80"
            cases += [
                f"WHEN jsonb_typeof(v.value) = 'number' THEN v.value::numeric {comparison} {bound}",
                f"WHEN {_IS_TEXT} AND {pattern} THEN {_TEXT}::numeric {comparison} {bound}",
            ]
        if moment is not None:
            then = f"as_moment({_TEXT}) {comparison} as_moment({self.bind(value)})"
            cases.append(f"WHEN {_IS_TEXT} AND as_moment({_TEXT}) IS NOT NULL THEN {then}")
        if isinstance(value, str):
            cases.append(f'WHEN {_IS_TEXT} THEN {_TEXT} COLLATE "C" {comparison} {self.bind(value)}')
        return self._any(place, f"CASE {' '.join(cases)} ELSE false END")

    def _range(self, conditions: Sequence[Condition]) -> str:
        """Return what holds for the index key of every match: numbers in their range, and what must be looked at."""
        key = key_of(conditions[0].field, self._columns, self.bind).expression
        texts = f"{key} >= '[\"\"]' AND {key} < {_LEAST_NUMBER}"
        tests = [texts, f"{key} >= '{SEVERAL}'"]
        numbers = [number_of(condition.value) for condition in conditions]
        if None not in numbers:  # a number never compares with a text or a date
            signs = [_COMPARISONS[condition.operator] for condition in conditions]
            bounds = [f"{key} {s} {self.bind(f'[{n}]')}::jsonb" for s, n in zip(signs, numbers, strict=True)]
            if not any(sign.startswith("<") for sign in signs):
                bounds.append(f"{key} < '[false]'")
            if not any(sign.startswith(">") for sign in signs):
                bounds.append(f"{key} >= {_LEAST_NUMBER}")
            tests.insert(0, " AND ".join(bounds))
        return f"({' OR '.join(tests)})"

    def _geo(self, place: Place, operator: Operator, value: Any) -> str:
        if place.kind is not Kind.JSON:
            return "false"
        if operator is Operator.GEO_RADIUS:
            centre, metres = value
            distance = f"metres_between(p.lat, p.lon, {self.bind(centre.lat)}::float8, {self.bind(centre.lon)}::float8)"
            test = f"{distance} <= {self.bind(metres)}::float8"
        elif operator is Operator.GEO_BOUNDING_BOX:
            test = self._box(*value)
        else:
            corners = "(" + ",".join(f"({corner.lon},{corner.lat})" for corner in value) + ")"
            test = f"point(p.lon, p.lat) <@ {self.bind(corners)}::polygon"
        path = self.bind(json_path(place.path))
        return (
            f"EXISTS (SELECT FROM jsonb_path_query({place.sql}, {path}::jsonpath) AS v(value),"
            f" LATERAL geo_points(v.value) AS p WHERE {test})"
        )

    def _box(self, top_left: Point, bottom_right: Point) -> str:
        north, south = self.bind(top_left.lat), self.bind(bottom_right.lat)
        west, east = self.bind(top_left.lon), self.bind(bottom_right.lon)
        # A box whose west is east of its east crosses the date line.
        joined = "AND" if top_left.lon <= bottom_right.lon else "OR"
        return (
            f"p.lat <= {north}::float8 AND p.lat >= {south}::float8"
            f" AND (p.lon >= {west}::float8 {joined} p.lon <= {east}::float8)"
        )


def _has_case(text: str) -> bool:
    return text.lower() != text or text.upper() != text


def _literal(scalar: Any) -> str:
    return str(scalar) if not isinstance(scalar, str | bool) else json.dumps(scalar).decode()

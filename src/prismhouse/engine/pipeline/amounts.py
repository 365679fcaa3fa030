"""What extraction took and dropped: units and what they cost, chunks, left-out pages and segments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from prismhouse.engine.extractors.port import ExtractorRecord, Part, Row, RowResult

__all__ = ["Amounts", "credits_of", "measured", "summed", "units_of_inputs"]

Amounts = Mapping[tuple[str, str], float]
"""By kind (unit, chunks, pages_dropped, ...) and name."""

_CHARACTERS_PER_TOKEN = 4
_TOKENS_AT_ONCE = 1000
_COUNTED: Mapping[str, Callable[[str], int]] = {
    "characters": len,
    "words": lambda text: len(text.split()),
    "paragraphs": lambda text: sum(bool(part.strip()) for part in text.split("\n\n")),
}


def measured(
    record: ExtractorRecord, parameters: Mapping[str, Any], row: Row, result: RowResult
) -> dict[tuple[str, str], float]:
    """Return the amounts of a row that gave documents."""
    found: dict[tuple[str, str], float] = {}
    units = result.units if result.units is not None else units_of_inputs(record, row, result)
    rates = _rates(record)
    for name, amount in units.items():
        if amount:
            found["unit", name] = amount
            found["credits", name] = amount * rates.get(name, 0.0)
    for kind, reasons in result.dropped.items():
        found.update({(f"{kind}_dropped", reason): count for reason, count in reasons.items() if count})
    return found | _chunks(parameters, result)


def units_of_inputs(record: ExtractorRecord, row: Row, result: RowResult | None) -> dict[str, float]:
    """Return how much of each unit of the record's rates a row has; four characters count as one token.

    Without a result a page of a document, and what has a length in time, are not known and count as one image, as
    no minute.
    """
    given = [part for value in row.inputs.values() for part in ([value] if isinstance(value, Part) else value)]
    amounts: dict[str, float] = {}
    for unit in _rates(record):
        match unit:
            case "image" | "page":
                pictures = sum(part.type == "image" for part in given)
                pages = len(result.documents) if result else 1
                amounts[unit] = pictures + (pages if any(part.type == "pdf" for part in given) else 0)
            case "1k_tokens":
                amounts[unit] = sum(_characters(part) for part in given) / _CHARACTERS_PER_TOKEN / _TOKENS_AT_ONCE
            case _ if "minute" in unit or "second" in unit:
                seconds = sum(_seconds(item.fields) for item in result.documents) if result else 0.0
                amounts[unit] = seconds / (60 if "minute" in unit else 1)
            case _:
                amounts[unit] = 1.0
    return amounts


def credits_of(record: ExtractorRecord, units: Mapping[str, float]) -> float:
    """Return what units cost by the record's rates; what has no rate is free."""
    rates = _rates(record)
    return sum(amount * rates.get(unit, 0.0) for unit, amount in units.items())


def summed(parts: Iterable[Amounts]) -> dict[tuple[str, str], float]:
    """Return the sum of amounts."""
    total: dict[tuple[str, str], float] = {}
    for part in parts:
        for key, amount in part.items():
            total[key] = total.get(key, 0.0) + amount
    return total


def _rates(record: ExtractorRecord) -> dict[str, float]:
    listed: Sequence[Mapping[str, Any]] = (record.costs or {}).get("rates", ())
    return {str(rate["unit"]): float(rate["credits_per_unit"]) for rate in listed}


def _characters(part: Part) -> int:
    if part.type in {"image", "pdf", "audio", "video"}:
        return 0
    if part.text is not None:
        return len(part.text)
    return part.size_bytes or 0


def _seconds(fields: Mapping[str, Any]) -> float:
    start, end = fields.get("start_time"), fields.get("end_time")
    return end - start if isinstance(start, int | float) and isinstance(end, int | float) and end > start else 0.0


def _chunks(parameters: Mapping[str, Any], result: RowResult) -> dict[tuple[str, str], float]:
    """How many chunks a text became, and how many units they hold where those can be counted."""
    unit = parameters.get("split_by")
    if not isinstance(unit, str):
        return {}
    found: dict[tuple[str, str], float] = {("chunks", str(unit)): len(result.documents)}
    if (count := _COUNTED.get(str(unit))) is not None:
        texts = [item.fields.get("text") for item in result.documents]
        found["chunk_units", str(unit)] = sum(count(text) for text in texts if isinstance(text, str))
    return found

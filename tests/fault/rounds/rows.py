"""The extraction of a server under test: what each text says is done, without a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.fake_extraction import fake_rows as obey

from prismhouse.engine.extractors.port import ErrorType, Part, Row, RowFailure, RowResult

__all__ = ["HEALED", "fake_rows"]

HEALED = "healed-"
"""A text that begins with `heals NAME` fails until a file of this name, with NAME behind it, lies among the marks."""


def fake_rows(extractor_id: str, parameters: dict[str, Any], rows: list[Row], *more: Any) -> list[RowResult]:
    """Do what each row's text says; the marks lie in the folder of the models."""
    ill = {row.row_id for row in rows if _is_ill(row, Path(more[1]))}
    done = {row.row_id: row for row in rows if row.row_id not in ill}
    results = {result.row_id: result for result in obey(extractor_id, parameters, list(done.values()), *more)}
    return [results.get(row.row_id) or _failed(row) for row in rows]


def _is_ill(row: Row, marks: Path) -> bool:
    part = row.inputs["text"]
    assert isinstance(part, Part)
    words = part.load().decode().split(" ")
    return words[0] == "heals" and not (marks / f"{HEALED}{words[1]}").exists()


def _failed(row: Row) -> RowResult:
    failure = RowFailure(stage="extract", code="ill", message="not healed yet", error_type=ErrorType.PERMANENT)
    return RowResult(row_id=row.row_id, failure=failure)

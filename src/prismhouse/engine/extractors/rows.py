"""What extractors share in handling rows: inputs, failures, and one bad row that spares its neighbours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import structlog

from prismhouse.engine.extractors.port import ErrorType, ExtractedDocument, Part, Row, RowFailure, RowResult
from prismhouse.engine.inference.endpoints.errors import EndpointFault
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.text import decode_text, storable
from prismhouse.kit.errors import WarehouseError

__all__ = [
    "failed",
    "failure_of",
    "fault_of",
    "guarded",
    "one_by_one",
    "parts",
    "read_bytes",
    "read_text",
    "settled",
    "spared",
]

_SHOWN_CHARS = 200
_ADDRESS = re.compile(r"[a-z0-9]+://\S+$", re.IGNORECASE)
_log = structlog.get_logger(__name__)


def failed(row: Row, error: Exception, stage: str = "extract") -> RowResult:
    """Return the failure of a row for what went wrong with it."""
    return RowResult(row_id=row.row_id, failure=failure_of(row, error, stage))


def failure_of(row: Row, error: Exception, stage: str = "extract") -> RowFailure:
    """Return what went wrong, with a stable code and whether trying again can help."""
    if isinstance(error, MediaFault):
        code, message, kind = error.code, error.message, ErrorType.PERMANENT
    elif isinstance(error, EndpointFault):
        return fault_of(error, stage)
    elif isinstance(error, MemoryError):
        code, kind = "out_of_memory", ErrorType.RESOURCE
        message = "There was not enough memory for this row. Send smaller files, or give the worker more memory."
    elif isinstance(error, OSError):
        code, kind = "file_unreadable", ErrorType.TRANSIENT
        message = f"The stored file could not be read: {error}. It is tried again; see whether it still exists."
    else:
        code, kind = "unexpected_error", ErrorType.PERMANENT
        message = f"The extractor failed on this row: {type(error).__name__}: {error}. The log has the trace."
        _log.error("row failed", row_id=row.row_id, exc_info=error)
    return RowFailure(stage=stage, code=code, message=message, error_type=kind)


def fault_of(error: WarehouseError, stage: str) -> RowFailure:
    """Return the failure that the server of a model is to blame for; it passes, where the server says so or is gone."""
    passes = isinstance(error, EndpointFault) and error.passes
    kind = ErrorType.TRANSIENT if passes else ErrorType.PERMANENT
    code = error.wire_code or "model_failed"
    return RowFailure(stage=stage, code=code, message=error.message, error_type=kind)


def settled(
    row: Row, documents: Sequence[ExtractedDocument], failures: Sequence[RowFailure], *, empty: str
) -> RowResult:
    """Return a row's result: partial when some of it failed, failed when all did, skipped when nothing was there."""
    if documents:
        return RowResult(row_id=row.row_id, documents=documents, partial_failures=failures)
    if failures:
        return RowResult(row_id=row.row_id, failure=replace(failures[0], missing_feature=None))
    return RowResult(row_id=row.row_id, skipped=empty)


def guarded(rows: Sequence[Row], run: Callable[[Sequence[Row]], list[RowResult]]) -> list[RowResult]:
    """Return `run(rows)`; when that raises, run the rows one by one so that only the bad ones fail.

    Errors about the house rather than a row (a model is missing) are raised. The server of a model that is gone fails
    all rows, without being asked for each.
    """
    try:
        return run(rows)
    except EndpointFault as fault:
        if len(rows) == 1 or not fault.of_input:
            return [failed(row, fault, "model") for row in rows]
        middle = len(rows) // 2
        return guarded(rows[:middle], run) + guarded(rows[middle:], run)
    except WarehouseError:
        raise
    except Exception as error:  # noqa: BLE001 - recorded as the failure of the row that raises alone
        if len(rows) == 1:
            return [failed(rows[0], error)]
        _log.warning("rows are run one by one", rows=len(rows), exc_info=error)
    return [result for row in rows for result in guarded([row], run)]


def one_by_one(rows: Sequence[Row], run: Callable[[Row], RowResult]) -> list[RowResult]:
    """Return what `run` gives for each row; a row that makes it raise fails alone, as `guarded` says."""
    return [result for row in rows for result in guarded([row], lambda some: [run(one) for one in some])]


@contextmanager
def spared(row: Row, failures: list[RowFailure], stage: str = "decode") -> Iterator[None]:
    """Note in `failures` that one input of a row cannot be used, so that what comes of the others is kept."""
    try:
        yield
    except (MediaFault, OSError, MemoryError) as error:
        failures.append(failure_of(row, error, stage))


def parts(row: Row, name: str) -> list[Part]:
    """Return the values of an input: none, one, or several."""
    given = row.inputs.get(name)
    return [given] if isinstance(given, Part) else list(given or ())


def read_bytes(part: Part) -> bytes:
    """Return the part's bytes; raise MediaFault when it was never fetched."""
    address = part.text if part.text is not None else part.url
    if part.data is None and part.path is None and (part.text is None or _ADDRESS.match(part.text)):
        shown = repr((address or repr(part.value))[:_SHOWN_CHARS])
        raise MediaFault("no_file", f"There is no stored file for this input ({shown}). Upload it as a blob.")
    return part.load()


def read_text(part: Part) -> str:
    """Return the part's text, fit to be stored: U+0000 and lone surrogates become U+FFFD, so offsets stay."""
    if part.text is not None:
        text = part.text
    elif part.data is not None or part.path is not None:
        text = decode_text(part.load())
    elif isinstance(part.value, (str, int, float)):
        text = str(part.value)
    elif part.value is None:
        text = ""
    else:
        message = f"Expected text, got a JSON {type(part.value).__name__}. Map the input to a text field."
        raise MediaFault("media_type_mismatch", message)
    return storable(text)

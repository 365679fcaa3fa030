"""What can go wrong, as values: one enum of codes and one base class. Only `api/web/errors.py` answers HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, ClassVar

__all__ = ["Code", "FieldFault", "Invalid", "WarehouseError", "field_fault"]


class Code(Enum):
    """Wire `type`, HTTP status, and whether the same call can succeed later without a change."""

    BAD_REQUEST = ("BadRequestError", 400, False)
    UNAUTHORIZED = ("UnauthorizedError", 401, False)
    FORBIDDEN = ("ForbiddenError", 403, False)
    NOT_ENABLED = ("NotEnabledError", 403, False)
    NOT_FOUND = ("NotFoundError", 404, False)
    TIMED_OUT = ("TimeoutError", 408, False)
    ALREADY_EXISTS = ("AlreadyExistsError", 409, False)
    CONFLICT = ("ConflictError", 409, False)
    PRECONDITION_FAILED = ("PreconditionFailedError", 412, False)
    TOO_LARGE = ("PayloadTooLargeError", 413, False)
    RANGE_INVALID = ("RangeNotSatisfiableError", 416, False)
    INVALID = ("ValidationError", 422, False)
    UNREACHABLE_URL = ("URLValidationError", 422, False)
    TOO_MANY = ("TooManyRequestsError", 429, True)
    INTERNAL = ("InternalServerError", 500, False)
    NOT_IMPLEMENTED = ("NotImplementedError", 501, False)
    UNAVAILABLE = ("UnavailableError", 503, True)
    STORAGE_FULL = ("InsufficientStorageError", 507, True)
    INFERENCE_UNAVAILABLE = ("InferenceServiceUnavailableError", 503, True)

    def __init__(self, wire_type: str, status: int, retryable: bool) -> None:
        self.wire_type = wire_type
        self.status = status
        self.retryable = retryable


class WarehouseError(Exception):
    """Base of every error a user may see; subclass docstrings are message templates.

    The first line of the subclass docstring is formatted with the keyword arguments, which also become
    `error.details`. `hint` is the next step and is appended to the message.
    """

    code: ClassVar[Code] = Code.INTERNAL
    hint: ClassVar[str] = ""
    wire_code: ClassVar[str | None] = None

    def __init__(self, **details: Any) -> None:
        self.details = details
        template = (type(self).__doc__ or "").strip().split("\n", 1)[0]
        message = template.format_map(details)
        self.message = f"{message} {self.hint.format_map(details)}".strip()
        super().__init__(self.message)


class FieldFault(dict[str, Any]):
    """One entry of `details.validation_errors`: type, location, message."""


def field_fault(location: Sequence[str | int], message: str, kind: str = "value_error") -> FieldFault:
    """Return one validation entry; `location` starts with body, query, path or header."""
    return FieldFault(type=kind, location=list(location), message=message)


class Invalid(WarehouseError):
    """{summary}"""

    code = Code.INVALID

    def __init__(self, faults: Sequence[Mapping[str, Any]], summary: str | None = None, **details: Any) -> None:
        text = summary or "; ".join(f"{'.'.join(str(p) for p in f['location'])}: {f['message']}" for f in faults[:5])
        super().__init__(summary=text, **details)
        self.details = {"validation_errors": list(faults), **details}

"""Why bytes were not turned into a part. Becomes the RowFailure of the one row that holds them."""

from __future__ import annotations

__all__ = ["MediaFault"]


class MediaFault(Exception):
    """The bytes cannot be used. `code` is stable; the message says what was found and what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

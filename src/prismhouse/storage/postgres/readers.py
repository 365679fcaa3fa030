"""For whom is read: where an end user asks, `documents` means those that this user may read.

The web layer says once, where a key becomes a caller, whom it stands for; `Database.read` then puts the schema
`readable` (migration 0012) first on the search path of the transaction. So every statement of a request obeys the
access lists, also those written by somebody who never heard of them. Jobs and keys of the organization read
everything, and so does every transaction that writes: it asks `may_write` itself.
"""

from __future__ import annotations

from contextvars import ContextVar

__all__ = ["BEGIN_AS", "principal", "read_as"]

_principal: ContextVar[str | None] = ContextVar("principal", default=None)

BEGIN_AS = """
SELECT set_config('search_path', 'readable, ' || current_setting('search_path'), true),
       set_config('prismhouse.principal', %(principal)s, true)
"""


def read_as(principal_id: str | None) -> None:
    """Read for this end user from here to the end of the request; None reads everything."""
    _principal.set(principal_id)


def principal() -> str | None:
    """Return the end user for whom is read, or None."""
    return _principal.get()

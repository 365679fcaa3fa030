"""Places for committed events, and pages of them. Readers miss nothing: a place is given once, after the commit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from prismhouse.api.web.caller import Caller, Forbidden, ScopedKey
from prismhouse.api.webhooks.feed import store
from prismhouse.api.webhooks.model import operation_of, resource_type_of
from prismhouse.kit.clock import iso
from prismhouse.kit.cursors import BadCursor, decode_cursor, encode_cursor
from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.storage.postgres.database import Database, Reader, Record

__all__ = ["CursorAhead", "CursorExpired", "Feed", "FeedPage", "NamespacesDiffer"]

# Each may become deliveries of a hundred webhooks, in one statement.
_EVENTS_AT_ONCE = 1_000
# What is behind after a mass of changes is caught up by the worker; a page comes without it then, and its cursor waits.
_CATCH_UP_SECONDS = 5.0
_MARK = "events"
_log = structlog.get_logger(__name__)


class CursorExpired(WarehouseError):
    """The cursor is older than the events that are kept ({days} days): some after it are gone."""

    code = Code.BAD_REQUEST
    hint = "Read the state that you need anew, then start again without a cursor."


class CursorAhead(WarehouseError):
    """The cursor is past the last event: it comes from a database that was set back since, or from another one."""

    code = Code.BAD_REQUEST
    hint = "Read the state that you need anew, then start again without a cursor."


class NamespacesDiffer(WarehouseError):
    """The request names two namespaces, {names}, by `namespace_id` and by X-Namespace."""

    code = Code.BAD_REQUEST
    hint = "Leave one of them out."


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPage:
    """Some events, the cursor to go on with (never None, so that a client can poll), and whether more are there."""

    results: Sequence[dict[str, Any]]
    next_cursor: str
    has_more: bool


class Feed:
    """The events of an organization in one order."""

    def __init__(self, db: Database, *, retention_days: float) -> None:
        self._db = db
        self._retention_days = retention_days

    async def place(self, *, wait: bool = False) -> bool:
        """Give places to committed events, and make their deliveries; return whether more are waiting.

        While another process does, `wait` for it, or leave it to that one.
        """
        async with self._db.read() as reading:
            if not await store.waiting(reading):
                return False
        async with self._db.write() as tx:
            last = await store.hold(tx, wait=wait)
            if last is None:
                return False
            await store.keep_webhooks(tx)
            return await store.place(tx, last=last, limit=_EVENTS_AT_ONCE) - last == _EVENTS_AT_ONCE

    async def _catch_up(self) -> None:
        """Give places to what is committed, for a while: a reader sees its own changes, also without a worker."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CATCH_UP_SECONDS):
                while await self.place(wait=True):
                    pass

    async def page(
        self,
        caller: Caller,
        *,
        cursor: str | None,
        limit: int,
        namespaces: Sequence[str] = (),
        event_type: str | None = None,
    ) -> FeedPage:
        """Return the next events after `cursor`, from the first one kept without it.

        `namespaces` are the ids or names by which a request names one. Raises CursorExpired, NamespacesDiffer.
        """
        patterns = _open_to(caller)
        await self._catch_up()
        async with self._db.read() as tx:
            found = {await store.namespace_named(tx, caller.organization_id, name) for name in namespaces}
            if len(found) > 1:
                raise NamespacesDiffer(names=" and ".join(namespaces))
            namespace_id = next(iter(found), None)
            if namespace_id is not None:
                _check(caller, namespace_id)
            after = await self._start(tx, caller.organization_id, cursor)
            rows = await store.page(
                tx,
                caller.organization_id,
                after=after,
                limit=limit + 1,
                namespace_id=namespace_id,
                event_type=event_type,
                patterns=patterns,
            )
            if await store.forgotten_through(tx, caller.organization_id) > after and cursor is not None:
                raise CursorExpired(days=f"{self._retention_days:g}")  # gone while the page was read
        shown = [_shown(row) for row in rows[:limit]]
        return FeedPage(
            results=shown,
            next_cursor=shown[-1]["cursor"] if shown else _cursor(after),
            has_more=len(rows) > limit,
        )

    async def _start(self, tx: Reader, organization_id: str, cursor: str | None) -> int:
        """Return the place after which to read; raise CursorExpired or CursorAhead where events would be missed."""
        forgotten = await store.forgotten_through(tx, organization_id)
        after = forgotten if cursor is None else _place_of(cursor)
        if after < forgotten:
            raise CursorExpired(days=f"{self._retention_days:g}")
        if after > await store.last_position(tx):
            raise CursorAhead
        return after

    async def forget(self) -> int:
        """Delete events that are past their time; return how many."""
        total = 0
        after: int | None = 0
        while after is not None:
            async with self._db.write() as tx:
                gone, after = await store.forget(
                    tx, age=timedelta(days=self._retention_days), after=after, limit=_EVENTS_AT_ONCE
                )
            total += gone
        if total:
            _log.info("events past their time were forgotten", events=total)
        return total


def _open_to(caller: Caller) -> list[str] | None:
    """Return the patterns of namespaces whose events the caller may read, None for all; raise ScopedKey."""
    if caller.principal_id is not None:
        # Events name documents whatever their access lists say.
        raise ScopedKey(limit=f"user {caller.principal_id}")
    if caller.namespaces is None:
        return None
    grants = caller.grants or {}
    return [name for name in caller.namespaces if "read" in grants.get(name, ("read",))]


def _check(caller: Caller, namespace_id: str) -> None:
    if caller.opens(namespace_id) and "read" not in caller.inside(namespace_id).held:
        raise Forbidden(permission="read", held="other permissions")


def _shown(row: Record) -> dict[str, Any]:
    return {
        "seq": row["position"],
        "cursor": _cursor(row["position"]),
        "namespace_id": row["namespace_id"],
        "event_type": row["event_type"],
        "resource_type": resource_type_of(row["event_type"]),
        "operation": operation_of(row["event_type"]),
        "payload": row["payload"],
        "trace_id": None,
        "created_at": iso(row["created_at"]),
    }


def _cursor(position: int) -> str:
    return encode_cursor([position], _MARK)


def _place_of(cursor: str) -> int:
    [position] = decode_cursor(cursor, length=1, fingerprint=_MARK)
    if type(position) is not int or not 0 <= position < 2**63:
        raise BadCursor
    return position

"""Pool and units of work: `async with db.read() as tx` or `db.write() as tx`.

The two give different types, and reads run on connections that PostgreSQL itself keeps read-only. A write
commits when its outermost block ends without an error. Tenant data is reached through `tx.within(namespace)`,
which refuses a statement that does not name the namespace: forgetting the scope is an error, not a leak.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from prismhouse.kit import json
from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.postgres import readers
from prismhouse.telemetry import traces

__all__ = [
    "Database",
    "DatabaseUnavailable",
    "FateUnknown",
    "NamespaceReader",
    "NamespaceWriter",
    "PoolUse",
    "Reader",
    "Record",
    "StatementTooSlow",
    "UnscopedStatement",
    "Writer",
]

Record = dict[str, Any]
Parameters = Mapping[str, Any]
Statement = str | sql.Composed

_SPAN = {"db.system.name": "postgresql"}

set_json_dumps(json.dumps)
set_json_loads(json.loads)


class DatabaseUnavailable(WarehouseError):
    """The database did not answer ({reason}); nothing was stored."""

    code = Code.UNAVAILABLE
    hint = "Try again in a moment."


class FateUnknown(WarehouseError):
    """The connection to the database was lost while a change was committed; it may be there or not."""

    # Not 503: the official client sends a refused write again by itself, and this one may have been stored.
    code = Code.INTERNAL
    hint = "Look whether the change is there before you send it again."


class StatementTooSlow(WarehouseError):
    """The database needed longer than a statement may take; nothing was stored."""

    # Not 503: the same request would take as long again.
    code = Code.TIMED_OUT
    hint = "Ask for less: narrower filters, shorter patterns; or raise PRISMHOUSE_DATABASE__STATEMENT_TIMEOUT_SECONDS."


class UnscopedStatement(AssertionError):
    """A statement on tenant data does not filter on `%(namespace_id)s`."""


@lru_cache(maxsize=4096)
def _names_namespace(statement: str) -> bool:
    return "%(namespace_id)s" in statement


class Reader:
    """Statements that only read. Named parameters: `%(name)s`; `%(name)b` for arrays and vectors."""

    def __init__(self, connection: psycopg.AsyncConnection[Record]) -> None:
        self._connection = connection

    async def fetch_all(
        self, statement: Statement, parameters: Parameters | None = None, *, prepare: bool | None = None
    ) -> list[Record]:
        """Return all rows. `prepare=False` lets the planner see the values (filtered vector search)."""
        cursor = await self._connection.execute(statement, parameters, prepare=prepare)
        return await cursor.fetchall()

    async def fetch_one(
        self, statement: Statement, parameters: Parameters | None = None, *, prepare: bool | None = None
    ) -> Record | None:
        """Return the first row or None."""
        cursor = await self._connection.execute(statement, parameters, prepare=prepare)
        return await cursor.fetchone()

    async def fetch_value(self, statement: Statement, parameters: Parameters | None = None) -> Any:
        """Return the first column of the first row, or None."""
        row = await self.fetch_one(statement, parameters)
        return None if row is None else next(iter(row.values()))

    def within(self, namespace_id: NamespaceId) -> NamespaceReader:
        """Return this unit of work, bound to one namespace."""
        return NamespaceReader(self._connection, namespace_id)


class Writer(Reader):
    """Statements that may change rows; they commit together, or not at all."""

    async def execute(self, statement: Statement, parameters: Parameters | None = None) -> int:
        """Run one statement and return the number of rows it touched."""
        cursor = await self._connection.execute(statement, parameters)
        return cursor.rowcount

    async def copy(self, statement: Statement, rows: Sequence[Sequence[Any]]) -> None:
        """Send rows through `COPY ... FROM STDIN`."""
        async with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                await copy.write_row(row)

    def within(self, namespace_id: NamespaceId) -> NamespaceWriter:
        """Return this unit of work, bound to one namespace."""
        return NamespaceWriter(self._connection, namespace_id)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[Self]:
        """Undo only what happens inside when it raises."""
        async with self._connection.transaction():
            yield self


class NamespaceReader:
    """Reads within one namespace: every statement must name `%(namespace_id)s`, which is filled in here."""

    def __init__(self, connection: psycopg.AsyncConnection[Record], namespace_id: NamespaceId) -> None:
        self._connection = connection
        self.namespace_id = namespace_id

    def _scoped(self, statement: Statement, parameters: Parameters | None) -> dict[str, Any]:
        text = statement if isinstance(statement, str) else statement.as_string(self._connection)
        if not _names_namespace(text):
            raise UnscopedStatement(text)
        return {**(parameters or {}), "namespace_id": self.namespace_id}

    async def fetch_all(
        self, statement: Statement, parameters: Parameters | None = None, *, prepare: bool | None = None
    ) -> list[Record]:
        """Return all rows."""
        cursor = await self._connection.execute(statement, self._scoped(statement, parameters), prepare=prepare)
        return await cursor.fetchall()

    async def fetch_one(
        self, statement: Statement, parameters: Parameters | None = None, *, prepare: bool | None = None
    ) -> Record | None:
        """Return the first row or None."""
        cursor = await self._connection.execute(statement, self._scoped(statement, parameters), prepare=prepare)
        return await cursor.fetchone()

    async def fetch_value(self, statement: Statement, parameters: Parameters | None = None) -> Any:
        """Return the first column of the first row, or None."""
        row = await self.fetch_one(statement, parameters)
        return None if row is None else next(iter(row.values()))

    @asynccontextmanager
    async def limited(self, seconds: float) -> AsyncIterator[None]:
        """Let each statement inside run this long at most; past it, psycopg's QueryCanceled is raised."""
        async with self._connection.transaction():
            cursor = await self._connection.execute("SELECT current_setting('statement_timeout') AS before")
            before = (await cursor.fetchone() or {})["before"]
            await self._connection.execute(f"SET LOCAL statement_timeout = {int(seconds * 1000)}")
            yield
            # Inside a transaction that goes on, the limit would hold for the rest of it.
            await self._connection.execute(
                "SELECT set_config('statement_timeout', %(before)s, true)", {"before": before}
            )

    @asynccontextmanager
    async def hashing(self) -> AsyncIterator[None]:
        """Have statements inside group by hashing, never by sorting whole rows.

        The planner has no statistics of what lies inside a JSON column, takes each row for a group of its own, and
        would sort a million of them on disk to find twenty groups.
        """
        async with self._connection.transaction():
            await self._connection.execute("SET LOCAL enable_sort = off")
            yield


class NamespaceWriter(NamespaceReader):
    """Reads and writes within one namespace."""

    async def execute(self, statement: Statement, parameters: Parameters | None = None) -> int:
        """Run one statement and return the number of rows it touched."""
        cursor = await self._connection.execute(statement, self._scoped(statement, parameters))
        return cursor.rowcount

    @property
    def unscoped(self) -> Writer:
        """The same transaction without the namespace: for jobs, events and other tables of the house itself."""
        return Writer(self._connection)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[Self]:
        """Undo only what happens inside when it raises."""
        async with self._connection.transaction():
            yield self


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolUse:
    """Connections of a pool, and how many units of work had to wait for one since it was opened."""

    used: int
    idle: int
    waited: int


def _use(pool: AsyncConnectionPool[Any]) -> PoolUse:
    stats = pool.get_stats()
    idle = stats.get("pool_available", 0)
    return PoolUse(used=stats.get("pool_size", 0) - idle, idle=idle, waited=stats.get("requests_queued", 0))


class Database:
    """Two pools to one PostgreSQL: one read-only in autocommit, one for transactions."""

    def __init__(
        self,
        dsn: str,
        *,
        pool_size: int = 10,
        connect_timeout_seconds: float = 10,
        statement_timeout_seconds: float = 60,
    ) -> None:
        self.dsn = dsn
        options = (
            f"-c statement_timeout={int(statement_timeout_seconds * 1000)}"
            " -c timezone=UTC -c hnsw.iterative_scan=relaxed_order -c hnsw.ef_search=120 -c jit=off"
        )
        self._reads = self._pool(
            f"{options} -c default_transaction_read_only=on",
            pool_size,
            connect_timeout_seconds,
            autocommit=True,
        )
        self._writes = self._pool(options, pool_size, connect_timeout_seconds, autocommit=False)

    def _pool(
        self, options: str, size: int, timeout: float, *, autocommit: bool
    ) -> AsyncConnectionPool[psycopg.AsyncConnection[Record]]:
        return AsyncConnectionPool(
            self.dsn,
            min_size=1,
            max_size=size,
            timeout=timeout,
            open=False,
            kwargs={
                "options": options,
                "autocommit": autocommit,
                "row_factory": dict_row,
                "application_name": "prismhouse",
            },
            check=AsyncConnectionPool.check_connection if not autocommit else None,
        )

    async def open(self) -> None:
        """Connect; raise DatabaseUnavailable when no server answers in time."""
        try:
            for pool in (self._reads, self._writes):
                await pool.open(wait=True, timeout=pool.timeout)
        except PoolTimeout as error:
            raise DatabaseUnavailable(reason="no connection in time") from error

    def use(self) -> dict[str, PoolUse]:
        """Return how far each pool is used."""
        return {name: _use(pool) for name, pool in (("read", self._reads), ("write", self._writes))}

    async def close(self) -> None:
        """Return all connections."""
        await self._reads.close()
        await self._writes.close()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Reader]:
        """Give a unit of work in which every statement sees the newest committed rows.

        For an end user, `documents` holds only what this user may read (readers.py).
        """
        try:
            with traces.span("postgresql read", "client", current=False, attributes=_SPAN):
                async with self._reads.connection() as connection:
                    if (principal := readers.principal()) is None:
                        yield Reader(connection)
                    else:
                        async with connection.transaction():
                            await connection.execute(readers.BEGIN_AS, {"principal": principal})
                            yield Reader(connection)
        except psycopg.OperationalError as error:
            raise _explained(error) from error

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Writer]:
        """Give a transaction: committed when the block ends, rolled back when it raises."""
        committing = False
        try:
            with traces.span("postgresql write", "client", current=False, attributes=_SPAN):
                async with self._writes.connection() as connection:
                    yield Writer(connection)
                    if connection.closed:  # psycopg would skip the commit without a word
                        raise DatabaseUnavailable(reason="the connection was lost")
                    committing = True
        except psycopg.OperationalError as error:
            # A server that says why it refuses a commit has not committed; a silent one may have.
            raise FateUnknown if committing and error.sqlstate is None else _explained(error) from error


def _explained(error: psycopg.OperationalError) -> WarehouseError:
    match error:
        case psycopg.errors.QueryCanceled():
            return StatementTooSlow()
        case PoolTimeout():
            reason = "all connections are busy"
        case psycopg.errors.DeadlockDetected() | psycopg.errors.LockNotAvailable():
            reason = "another request held the same rows"
        case psycopg.errors.InsufficientResources():
            reason = f"it is short of resources: {error.diag.message_primary}"
        case _:
            reason = "the connection was lost"
    return DatabaseUnavailable(reason=reason)

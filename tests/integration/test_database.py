"""Units of work and the namespace scope."""

from __future__ import annotations

import contextlib
import os
import socket

import psycopg
import pytest

from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.postgres.database import (
    Database,
    DatabaseUnavailable,
    FateUnknown,
    StatementTooSlow,
    UnscopedStatement,
)
from prismhouse.storage.postgres.migrate import migrate


async def test_migrating_again_does_nothing(dsn: str) -> None:
    assert migrate(dsn) == []


async def test_a_read_cannot_write(db: Database) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        async with db.read() as tx:
            await tx.fetch_all("INSERT INTO organizations VALUES ('org_1', 'one') RETURNING 1")


async def test_a_write_that_raises_leaves_nothing(db: Database) -> None:
    with pytest.raises(RuntimeError):
        async with db.write() as tx:
            await tx.execute("INSERT INTO organizations VALUES ('org_1', 'one')")
            raise RuntimeError

    async with db.read() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM organizations") == 0


async def test_a_statement_without_the_namespace_is_refused(db: Database) -> None:
    async with db.read() as tx:
        scoped = tx.within(NamespaceId("ns_1"))
        with pytest.raises(UnscopedStatement):
            await scoped.fetch_all("SELECT * FROM objects")
        assert await scoped.fetch_all("SELECT * FROM objects WHERE namespace_id = %(namespace_id)s") == []


async def test_a_slow_statement_is_said_to_be_slow_when_it_is_cut_off(dsn: str) -> None:
    db = Database(dsn, pool_size=2, statement_timeout_seconds=0.05)
    await db.open()
    try:
        for unit in (db.read, db.write):
            with pytest.raises(StatementTooSlow):
                async with unit() as tx:
                    await tx.fetch_value("SELECT pg_sleep(10)")
    finally:
        await db.close()


async def test_the_fate_of_a_change_is_unknown_when_the_connection_goes_during_its_commit(db: Database) -> None:
    with pytest.raises(FateUnknown) as raised:
        async with db.write() as tx:
            await tx.execute("INSERT INTO organizations VALUES ('org_1', 'one')")
            with socket.socket(fileno=os.dup(tx._connection.pgconn.socket)) as line:
                line.shutdown(socket.SHUT_RDWR)

    # The official client repeats every write that answers 429 or 503.
    assert raised.value.code.status not in {429, 503}


async def test_a_lost_connection_before_the_commit_stores_nothing(db: Database) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with db.write() as tx:
            await tx.execute("INSERT INTO organizations VALUES ('org_1', 'one')")
            await tx.fetch_value("SELECT pg_terminate_backend(pg_backend_pid())")

    async with db.read() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM organizations") == 0


async def test_a_write_does_not_pass_for_stored_when_a_lost_connection_went_unnoticed(db: Database) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with db.write() as tx:
            await tx.execute("INSERT INTO organizations VALUES ('org_1', 'one')")
            with contextlib.suppress(psycopg.OperationalError):
                await tx.fetch_value("SELECT pg_terminate_backend(pg_backend_pid())")

"""Units of work and the namespace scope."""

from __future__ import annotations

import psycopg
import pytest

from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.postgres.database import Database, UnscopedStatement
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

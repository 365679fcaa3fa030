"""Numbered SQL files, applied once each, in order, by one process at a time."""

from __future__ import annotations

import time
from importlib.resources import files

import psycopg
from procrastinate.schema import SchemaManager

from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.storage.postgres.locks import Lock

__all__ = ["DatabaseTooNew", "DatabaseUnsuitable", "MigrationBusy", "migrate"]

_WAIT_SECONDS = 60.0
_CONNECT_TIMEOUT_SECONDS = 10
_EXTENSIONS = "0000_extensions"


class MigrationBusy(WarehouseError):
    """Another process has been migrating the database for {seconds} s."""

    code = Code.UNAVAILABLE
    hint = "Wait for it, or look for a stuck session in pg_stat_activity."


class DatabaseTooNew(WarehouseError):
    """The database has migrations that this version does not know: {names}."""

    code = Code.CONFLICT
    hint = "Run the newer Prismhouse that made them; there is no way back."


class DatabaseUnsuitable(WarehouseError):
    """PostgreSQL refused the extensions Prismhouse needs: {reason}."""

    code = Code.CONFLICT
    hint = "Install pgvector 0.8 and pg_trgm on that server, and let this user create them or create them for it."


def _files() -> list[tuple[str, str]]:
    folder = files("prismhouse.storage.postgres").joinpath("migrations")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(name.removesuffix(".sql"), folder.joinpath(name).read_text()) for name in names]


def migrate(dsn: str) -> list[str]:
    """Bring the database to the newest schema; return the names of the migrations that ran.

    The advisory lock is polled, not waited for: a session that waits inside a statement would deadlock with
    CREATE INDEX CONCURRENTLY. Every migration is one transaction.

    Raises:
        MigrationBusy: another process has been at it for a minute.
        DatabaseTooNew, DatabaseUnsuitable: this database cannot be used.
    """
    with psycopg.connect(
        dsn, autocommit=True, application_name="prismhouse-migrate", connect_timeout=_CONNECT_TIMEOUT_SECONDS
    ) as connection:
        deadline = time.monotonic() + _WAIT_SECONDS
        while connection.execute("SELECT pg_try_advisory_lock(%s)", (int(Lock.MIGRATE),)).fetchone() != (True,):
            if time.monotonic() > deadline:
                raise MigrationBusy(seconds=int(_WAIT_SECONDS))
            time.sleep(0.05)
        connection.execute("SET lock_timeout = '10s'")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY, applied_at timestamptz DEFAULT now())"
        )
        done = {row[0] for row in connection.execute("SELECT name FROM schema_migrations")}
        steps = _steps()
        if unknown := done - {name for name, _ in steps}:
            raise DatabaseTooNew(names=", ".join(sorted(unknown)))
        ran = []
        for name, statements in steps:
            if name not in done:
                _apply(connection, name, statements)
                ran.append(name)
        if ran:
            connection.execute("SELECT make_readable_views()")
        return ran


def _steps() -> list[tuple[str, str]]:
    extensions = "CREATE EXTENSION IF NOT EXISTS vector; CREATE EXTENSION IF NOT EXISTS pg_trgm"
    return [(_EXTENSIONS, extensions), ("0000_jobs", SchemaManager.get_schema()), *_files()]


def _apply(connection: psycopg.Connection, name: str, statements: str) -> None:
    try:
        with connection.transaction():
            connection.execute(statements.encode())
            connection.execute("INSERT INTO schema_migrations (name) VALUES (%s)", (name,))
    except (psycopg.errors.FeatureNotSupported, psycopg.errors.InsufficientPrivilege) as error:
        if name != _EXTENSIONS:
            raise
        raise DatabaseUnsuitable(reason=str(error.diag.message_primary)) from error

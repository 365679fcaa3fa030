"""Migrations run once, by one process at a time, and refuse what they do not know."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from prismhouse.storage.postgres.migrate import DatabaseTooNew, DatabaseUnsuitable, migrate

SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture
def empty_dsn(postgres_dsn):
    name = f"empty_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    yield make_conninfo(postgres_dsn, dbname=name)
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_second_run_does_nothing_when_all_is_applied(empty_dsn):
    first = migrate(empty_dsn)

    assert first == sorted(first, key=lambda name: (name[:4], first.index(name)))
    assert "0001_organizations" in first
    assert migrate(empty_dsn) == []


def test_each_migration_runs_once_when_two_processes_start_together(empty_dsn):
    script = "import sys; from prismhouse.storage.postgres.migrate import migrate; print(len(migrate(sys.argv[1])))"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script, empty_dsn],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(SOURCE)},
        )
        for _ in range(2)
    ]
    ended = [(*process.communicate(timeout=60), process.returncode) for process in started]

    assert [code for _, _, code in ended] == [0, 0], ended
    counts = sorted(int(out) for out, _, _ in ended)
    with psycopg.connect(empty_dsn) as connection:
        applied = connection.execute("SELECT count(*) FROM schema_migrations").fetchone()
    assert applied == (sum(counts),)
    assert counts[0] == 0


def test_database_is_refused_when_a_newer_version_migrated_it(empty_dsn):
    migrate(empty_dsn)
    with psycopg.connect(empty_dsn) as connection:
        connection.execute("INSERT INTO schema_migrations (name) VALUES ('9999_future')")

    with pytest.raises(DatabaseTooNew, match="9999_future"):
        migrate(empty_dsn)


def test_database_is_refused_clearly_when_extensions_may_not_be_made(empty_dsn):
    role = f"weak_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute(f'CREATE ROLE "{role}"')
        connection.execute(f'GRANT ALL ON SCHEMA public TO "{role}"')
    try:
        with pytest.raises(DatabaseUnsuitable, match="pgvector"):
            migrate(make_conninfo(empty_dsn, options=f"-c role={role}"))
    finally:
        with psycopg.connect(empty_dsn, autocommit=True) as connection:
            connection.execute(f'DROP OWNED BY "{role}" CASCADE')
            connection.execute(f'DROP ROLE "{role}"')

"""Fixtures that everything shares: a real PostgreSQL and a fresh migrated database for each test that asks."""

from __future__ import annotations

import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.ray_cluster import ray_cluster
from tests.running import api, api_of, private_server, private_worker, server, unique_name, web_404
from tests.s3_server import object_storage, server_on_s3, weather

from prismhouse.storage.postgres.database import Database
from prismhouse.storage.postgres.migrate import migrate

# What passes once passes always, on a slow machine too. `pytest --hypothesis-profile thorough` looks for new cases.
settings.register_profile(
    "steady",
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", settings.get_profile("steady"), max_examples=5000, derandomize=False)
settings.load_profile("steady")

__all__ = [
    "api",
    "api_of",
    "object_storage",
    "private_server",
    "private_worker",
    "ray_cluster",
    "server",
    "server_on_s3",
    "unique_name",
    "weather",
    "web_404",
]


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_reaches_children() -> None:
    """A shell's background job ignores SIGINT, and so would every program that the tests start and interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module", autouse=True)
def _models_go() -> Iterator[None]:
    """A process keeps the models it has loaded; those of all tests together would be several gigabytes."""
    yield
    if (module := sys.modules.get("prismhouse.engine.inference.loaded")) is not None:
        module._models.clear()


@pytest.fixture(scope="session")
def postgres_dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server: the one named by PRISMHOUSE_TEST_POSTGRES, else an embedded one for this run."""
    if given := os.environ.get("PRISMHOUSE_TEST_POSTGRES"):
        yield given
        return
    from prismhouse.storage.postgres.embedded import EmbeddedPostgres

    with EmbeddedPostgres(Path(tmp_path_factory.mktemp("postgres")), durable=False) as server:
        yield server.dsn


@pytest.fixture(scope="session")
def template_database(postgres_dsn: str) -> Iterator[str]:
    """A migrated database that is never written to: the others are copies of it."""
    name = f"template_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    migrate(make_conninfo(postgres_dsn, dbname=name))
    yield name
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def fresh_database(postgres_dsn: str, template_database: str) -> Iterator[Callable[[], str]]:
    """Give a function that makes a database with the newest schema; what is left of them goes at the end."""
    names = []

    def make() -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        names.append(name)
        with psycopg.connect(postgres_dsn, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template_database}"')
        return make_conninfo(postgres_dsn, dbname=name)

    yield make
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        for name in names:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
def dsn(postgres_dsn: str, fresh_database: Callable[[], str]) -> Iterator[str]:
    """The DSN of a fresh database with the newest schema."""
    made = fresh_database()
    yield made
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{conninfo_to_dict(made)["dbname"]}" WITH (FORCE)')


@pytest.fixture
async def db(dsn: str) -> AsyncIterator[Database]:
    """An open Database on a fresh database."""
    database = Database(dsn, pool_size=4)
    await database.open()
    yield database
    await database.close()

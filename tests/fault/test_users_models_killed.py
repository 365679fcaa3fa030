"""Batches with a user's model that are disturbed: kill -9 of what computes, and models and namespaces that go."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from conditions import eventually
from tests.fault.flow import kill, victims
from tests.running import Api, RunningServer
from tests.users_models import collection_with, deployed

from prismhouse.storage.postgres.embedded import running_dsn

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

COUNT = 120
TERMINAL = {"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"}
SETTINGS = {
    "PRISMHOUSE_WORKER__CHUNK_ROWS": "8",
    "PRISMHOUSE_WORKER__MAX_ATTEMPTS": "2",
    "PRISMHOUSE_WORKER__STALLED_AFTER_SECONDS": "2",
}


class Running:
    """A batch of texts with a user's model, in the middle of its work."""

    def __init__(self, api: Api, name: str) -> None:
        self.api = api
        self.model = deployed(api, name)
        schema = {"properties": {"text": {"type": "text"}}}
        self.bucket = api.ok("POST", "/v1/buckets", {"bucket_name": "texts", "bucket_schema": schema})["bucket_id"]
        self.collection = api.ok("POST", "/v1/collections", collection_with(self.model, self.bucket))["collection_id"]
        texts = [f"Note {number}. " + f"word{number % 7} of a long story " * 50 for number in range(COUNT)]
        blobs = [{"blobs": [{"property": "text", "type": "text", "data": text}]} for text in texts]
        made = [
            api.ok("POST", f"/v1/buckets/{self.bucket}/objects/batch", {"objects": blobs[start : start + 60]})
            for start in range(0, COUNT, 60)
        ]
        self.objects = {item["object_id"] for one in made for item in one["succeeded"]}
        asked = {"object_ids": sorted(self.objects)}
        batch = api.ok("POST", f"/v1/buckets/{self.bucket}/batches", asked)
        self.at = f"/v1/buckets/{self.bucket}/batches/{batch['batch_id']}"
        api.ok("POST", f"{self.at}/submit", {})
        self.wait_for(1)

    def read(self) -> dict[str, Any]:
        return self.api.ok_or_none("GET", self.at) or {"status": "UNREACHABLE"}

    def wait_for(self, documents: int) -> None:
        shown = eventually(
            self.read,
            until=lambda one: (one.get("documents_written") or 0) >= documents or one["status"] in TERMINAL,
            timeout_seconds=120,
        )
        assert shown["status"] == "PROCESSING", "the batch ended before the disturbance; make it larger"

    def ended(self) -> dict[str, Any]:
        shown: dict[str, Any] = eventually(self.read, until=lambda one: one["status"] in TERMINAL, timeout_seconds=200)
        return shown

    def written(self) -> list[str]:
        """Return the object of each document."""
        documents = self.api.pages(f"/v1/collections/{self.collection}/documents/list")
        return [one["_internal"]["lineage"]["root_object_id"] for one in documents]

    def audited(self) -> dict[str, Any]:
        audit = self.api.ok("GET", f"{self.at}/audit")
        assert audit["all_balanced"], audit
        assert not audit["has_lost_objects"], audit
        return audit


@pytest.fixture
def running(private_server: Callable[..., RunningServer], api_of: Callable[..., Api], unique_name: str) -> Running:
    return Running(api_of(private_server(**SETTINGS), unique_name), unique_name)


def test_every_row_is_written_once_when_processes_are_killed_that_have_a_users_model(running: Running) -> None:
    supervisor = running.api.server.process.pid
    for documents, kind in ((1, "extraction"), (30, "extraction"), (60, "worker")):
        running.wait_for(documents)
        with suppress(ProcessLookupError):
            kill(victims(supervisor, kind))

    assert running.ended()["status"] == "COMPLETED"

    assert sorted(running.written()) == sorted(running.objects)
    running.audited()


def test_a_users_model_stays_while_a_batch_needs_it(running: Running) -> None:
    api, model = running.api, running.model

    for method, path in (
        ("POST", f"/v1/namespaces/{api.namespace}/models/org/{model}/disable"),
        ("DELETE", f"/v1/models/{model}"),
    ):
        assert api.call(method, path)[0] == 409
    assert api.ok("POST", f"/v1/namespaces/{api.namespace}/models/{model}/deploy")["cached"] is True

    assert running.ended()["status"] == "COMPLETED"
    assert sorted(running.written()) == sorted(running.objects)


def test_every_row_is_named_when_a_users_model_is_gone_in_the_middle(running: Running) -> None:
    dsn = running_dsn(running.api.server.data_dir / "postgres")
    assert dsn is not None
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DELETE FROM namespace_models WHERE model_id = %s", [running.model])
        connection.execute("DELETE FROM models WHERE model_id = %s", [running.model])

    ended = running.ended()

    assert ended["status"] in {"FAILED", "COMPLETED_WITH_ERRORS"}, ended
    assert running.model in ended["error"], ended
    [tier] = running.audited()["tiers"]
    written = running.written()
    assert len(written) == len(set(written)) == tier["processed"]
    assert tier["processed"] + tier["failed"] == COUNT
    assert tier["failed"] > 0


def test_nothing_is_left_when_the_namespace_of_a_users_model_is_deleted_in_the_middle(running: Running) -> None:
    api, namespace, server = running.api, str(running.api.namespace), running.api.server
    outer = Api(server)
    dsn = running_dsn(server.data_dir / "postgres")
    assert dsn is not None

    assert outer.call("DELETE", f"/v1/namespaces/{namespace}")[0] == 409
    outer.ok("DELETE", f"/v1/namespaces/{namespace}?force=true")

    with psycopg.connect(dsn, autocommit=True) as connection:

        def left() -> list[tuple[str, int]]:
            tables = ("namespaces", "batches", "documents", "objects", "namespace_models", "blob_garbage")
            counts = [
                (table, connection.execute(f"SELECT count(*) FROM {table} WHERE namespace_id = %s", [namespace]))
                for table in tables
            ]
            return [(table, row[0]) for table, found in counts if (row := found.fetchone()) is not None and row[0]]

        eventually(left, until=lambda found: not found, timeout_seconds=60)
        jobs = "SELECT 1 FROM procrastinate_jobs WHERE task_name LIKE 'batches.%' AND status IN ('todo', 'doing')"
        eventually(lambda: connection.execute(jobs).fetchall(), until=lambda found: not found, timeout_seconds=60)
        assert left() == []
    assert api.call("GET", running.at)[0] == 404
    assert server.health() == 200
    outer.ok("DELETE", f"/v1/models/{running.model}")

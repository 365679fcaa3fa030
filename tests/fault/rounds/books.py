"""What must hold when everything has recovered: read from the tables themselves, and from what the API says of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from tests.fault.rounds.client import Client
from tests.fault.rounds.listeners import FeedReader, Receiver
from tests.fault.rounds.texts import TIERS, Expected

__all__ = ["Books", "Submitted"]

_QUIET_SECONDS = 120.0
_ENDED = {"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"}


@dataclass
class Submitted:
    """An acknowledged batch: what it must come to.

    Attributes:
        written: whether it writes what is expected; a batch that skips what stands writes nothing.
        stands: whether what it wrote is there at the end, or was replaced.
        cancelled: it was stopped in the middle: a part of what is expected is there.
        runs: how often it ran, retries and resubmissions counted.
        counted: documents that the last run counts, by tier, where they are not those expected.
    """

    batch_id: str
    expected: Expected
    status: str
    written: bool = True
    stands: bool = True
    cancelled: bool = False
    runs: int = 1
    counted: list[int] | None = None


@dataclass
class Books:
    """Everything that a round asked for, and the checks at its end."""

    client: Client
    namespace: str
    feed: FeedReader
    receiver: Receiver
    batches: dict[str, Submitted] = field(default_factory=dict)
    objects: set[str] = field(default_factory=set)

    def check(self, connection: psycopg.Connection[dict[str, Any]]) -> list[str]:
        """Return a line for everything that is wrong."""
        rows = _Rows(connection, self.namespace)
        wrong = self._jobs(rows)
        wrong += [line for name, batch in self.batches.items() for line in self._batch(rows, name, batch)]
        wrong += self._documents(rows) + self._objects(rows) + self._others(rows) + self._answers()
        return wrong + self._listeners(rows)

    def _jobs(self, rows: _Rows) -> list[str]:
        """Nothing of the namespace waits, runs or has failed; wait for what was queued last."""
        deadline = time.monotonic() + _QUIET_SECONDS
        statement = (
            "SELECT status::text, task_name, attempts FROM procrastinate_jobs WHERE args ->> 'namespace_id' = %(ns)s"
        )
        while left := rows.all(statement):
            if time.monotonic() > deadline:
                return [f"jobs are left: {left}"]
            time.sleep(0.05)
        return []

    def _batch(self, rows: _Rows, name: str, batch: Submitted) -> list[str]:
        about = {"batch": batch.batch_id}
        [row] = rows.all("SELECT * FROM batches WHERE namespace_id = %(ns)s AND batch_id = %(batch)s", about)
        tiers = rows.all(
            "SELECT * FROM batch_tiers WHERE namespace_id = %(ns)s AND batch_id = %(batch)s ORDER BY tier", about
        )
        tasks = rows.all("SELECT * FROM tasks WHERE inputs ? %(batch)s", about)
        main = next((task for task in tasks if task["task_id"] == row["task_id"]), {"status": None})
        ends = rows.all("SELECT event_type FROM events WHERE resource_id = %(batch)s", about)
        told = rows.all("SELECT event FROM batch_journal WHERE namespace_id = %(ns)s AND batch_id = %(batch)s", about)
        found: dict[str, tuple[Any, Any]] = {
            "status": (row["status"], batch.status),
            "status of its task": (main["status"], batch.status),
            "tasks that go on": ([task["task_id"] for task in tasks if task["status"] not in _ENDED], []),
            "tiers that go on": ([tier["tier"] for tier in tiers if tier["completed_at"] is None], []),
            "events of its end": (
                Counter(one["event_type"] for one in ends if one["event_type"] in {"batch.completed", "batch.failed"}),
                Counter() if batch.cancelled else Counter(["batch.completed"] * batch.runs),
            ),
            "ends in its journal": (
                [one["event"] for one in told if one["event"] in {"batch.ended", "batch.canceled"}],
                ["batch.canceled"] if batch.cancelled else ["batch.ended"] * batch.runs,
            ),
            "runs": (row["run"] + 1, batch.runs),
        }
        if not batch.cancelled:
            found |= self._ledger(rows, batch, tiers)
        return [f"batch {name}: {what}: {is_} instead of {must}" for what, (is_, must) in found.items() if is_ != must]

    def _ledger(self, rows: _Rows, batch: Submitted, tiers: list[dict[str, Any]]) -> dict[str, tuple[Any, Any]]:
        about = {"batch": batch.batch_id}
        counts = rows.all(
            "SELECT * FROM batch_counts WHERE namespace_id = %(ns)s AND batch_id = %(batch)s ORDER BY tier", about
        )
        failures = rows.all(
            "SELECT tier, object_id, code FROM row_failures WHERE namespace_id = %(ns)s AND batch_id = %(batch)s", about
        )
        left = rows.all(
            "SELECT tier, chunk FROM batch_chunks"
            " WHERE namespace_id = %(ns)s AND batch_id = %(batch)s AND state <> 'done'",
            about,
        )
        failed = Counter(tier for tier, _, _ in batch.expected.failures.elements())
        written = Counter(tier for tier, _, _ in batch.expected.documents.elements()) if batch.written else Counter()
        return {
            "open chunks": (left, []),
            "rows submitted": ([row["submitted"] for row in counts], batch.expected.submitted),
            "rows failed": ([row["failed"] for row in counts], [failed[number] for number in range(len(TIERS))]),
            "rows not accounted for": (
                [row["submitted"] - row["processed"] - row["failed"] - row["skipped"] for row in counts],
                [0] * len(TIERS),
            ),
            "documents counted": (
                [row["documents_written"] for row in counts],
                batch.counted or [written[name] for name in TIERS],
            ),
            "lost by the books of the tiers": ([tier["audit"]["lost"] for tier in tiers], [0] * len(TIERS)),
            "failures named": (
                Counter((row["tier"], row["object_id"], row["code"]) for row in failures),
                batch.expected.failures,
            ),
        }

    def _documents(self, rows: _Rows) -> list[str]:
        stored = rows.all(
            "SELECT document_id, collection_name, root_object_id, payload ->> 'text' AS text, batch_id,"
            " document_blobs FROM documents JOIN collections USING (namespace_id, collection_id)"
            " WHERE namespace_id = %(ns)s"
        )
        found = Counter((row["collection_name"], row["root_object_id"], row["text"]) for row in stored)
        wanted: Counter[tuple[str, str, str]] = Counter()
        partly: set[tuple[str, str, str]] = set()
        for batch in self.batches.values():
            if batch.cancelled:
                partly |= set(batch.expected.documents)
            elif batch.written and batch.stands:
                wanted += batch.expected.documents
        wrong = [f"document is missing: {_short(key)} x{count}" for key, count in (wanted - found).items()]
        extra = found - wanted
        wrong += [
            f"document is there too often: {_short(key)} x{count}"
            for key, count in extra.items()
            if key not in partly or count > 1
        ]
        vectors = 0
        for index in rows.all("SELECT table_name FROM vector_indexes WHERE namespace_id = %(ns)s"):
            [row] = rows.all(f"SELECT count(*) AS n FROM {index['table_name']} WHERE namespace_id = %(ns)s")
            vectors += row["n"]
        if vectors != len(stored):
            wrong.append(f"{vectors} vectors of {len(stored)} documents")
        return wrong

    def _objects(self, rows: _Rows) -> list[str]:
        stored = rows.all("SELECT object_id, status, error FROM objects WHERE namespace_id = %(ns)s")
        wrong = []
        if (ids := {row["object_id"] for row in stored}) != self.objects:
            wrong.append(f"objects lost: {self.objects - ids}, made twice: {ids - self.objects}")
        known = [batch for batch in self.batches.values() if not batch.cancelled]
        failed = set().union(*(batch.expected.failed_objects for batch in known))
        cancelled = [batch for batch in self.batches.values() if batch.cancelled]
        unknown = {key[1] for batch in cancelled for key in batch.expected.documents}
        for row in stored:
            must = "FAILED" if row["object_id"] in failed else "COMPLETED"
            if row["object_id"] not in unknown and (row["status"] != must or bool(row["error"]) != (must == "FAILED")):
                wrong.append(f"object {row['object_id']} is {row['status']} ({row['error']}) instead of {must}")
        return wrong

    def _others(self, rows: _Rows) -> list[str]:
        events = rows.all(
            "SELECT event_type, payload FROM events WHERE namespace_id = %(ns)s"
            " AND event_type IN ('object.created', 'objects.created.batch')"
        )
        told = [
            name
            for event in events
            for name in event["payload"].get("object_ids") or [event["payload"].get("object_id")]
        ]
        wrong = []
        if Counter(told) != Counter(self.objects):
            wrong.append(f"events of objects: {len(told)} told, {len(self.objects)} made")
        batches = {row["batch_id"] for row in rows.all("SELECT batch_id FROM batches WHERE namespace_id = %(ns)s")}
        if more := batches - {batch.batch_id for batch in self.batches.values()}:
            wrong.append(f"batches that nobody asked for: {more}")
        return wrong

    def _listeners(self, rows: _Rows) -> list[str]:
        """The feed told each event once, in its order; the webhook at least once, each resource in order."""
        seen = self.feed.finish()
        events = rows.all(
            "SELECT event_id, resource_id, position FROM events WHERE namespace_id = %(ns)s ORDER BY position"
        )
        wrong = []
        if seen != [event["position"] for event in events]:
            wrong.append(f"the feed told {seen} of {[event['position'] for event in events]}")
        deadline = time.monotonic() + _QUIET_SECONDS
        while missing := {event["event_id"] for event in events} - set(self.receiver.told):
            if time.monotonic() > deadline:
                return [*wrong, f"{len(missing)} of {len(events)} events were not delivered"]
            time.sleep(0.05)
        first = {event_id: number for number, event_id in reversed(list(enumerate(self.receiver.told)))}
        for resource in {event["resource_id"] for event in events}:
            arrived = [first[event["event_id"]] for event in events if event["resource_id"] == resource]
            if arrived != sorted(arrived):
                wrong.append(f"the events of {resource} were delivered out of order")
        return wrong

    def _answers(self) -> list[str]:
        """The API says the same."""
        wrong = []
        for name, batch in self.batches.items():
            path = f"/v1/buckets/{self.client.bucket}/batches/{batch.batch_id}"
            shown, audit = self.client.read("GET", path), self.client.read("GET", f"{path}/audit")
            failed = self.client.read("GET", f"{path}/failed-documents")
            if audit["has_lost_objects"] or (not batch.cancelled and not audit["all_balanced"]):
                wrong.append(f"batch {name}: its audit does not balance: {audit}")
            if shown["status"] != batch.status:
                wrong.append(f"batch {name}: the API says {shown['status']} instead of {batch.status}")
            if not batch.cancelled and failed["total"] != batch.expected.failures.total():
                wrong.append(f"batch {name}: {failed['total']} failed rows are listed")
            task = self.client.read("GET", f"/v1/tasks/{shown['task_id']}")
            if task["status"] != batch.status:
                wrong.append(f"batch {name}: its task says {task['status']}")
        return wrong


class _Rows:
    """Statements about one namespace."""

    def __init__(self, connection: psycopg.Connection[dict[str, Any]], namespace: str) -> None:
        self._connection = connection
        self._namespace = namespace

    def all(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return all rows; `%(ns)s` is the namespace."""
        return self._connection.execute(statement, {"ns": self._namespace, **(parameters or {})}).fetchall()


def _short(key: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part[:40] for part in key)

"""The life of batches as a state machine: no sequence of calls reaches a state that should not be, or loses a row.

Calls go through the API. Jobs run one by one, in the test's hands, on an extractor that fails where a text says so.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.batches import House, open_house
from tests.fake_extraction import fake_rows

from prismhouse.storage.postgres.database import Database

STEPS = {
    "DRAFT": {"DRAFT", "QUEUED", "CANCELED"},
    "QUEUED": {"QUEUED", "PROCESSING", "COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"},
    "PROCESSING": {"PROCESSING", "COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"},
    "COMPLETED": {"COMPLETED", "QUEUED", "DRAFT"},
    "COMPLETED_WITH_ERRORS": {"COMPLETED_WITH_ERRORS", "QUEUED", "DRAFT"},
    "FAILED": {"FAILED", "QUEUED", "DRAFT"},
    "CANCELED": {"CANCELED", "QUEUED", "DRAFT"},
}
ENDED = {"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"}
ACTIVE = {"QUEUED", "PROCESSING"}
TEXTS = ("a|b", "c", "bad it is", "busy it is", "d|bad", "blank", "missing model")
TIERS = st.integers(0, 1)
PICK = st.integers(0, 9)


class InProcess:
    """Compute without processes: what matters here is what becomes of the results."""

    async def run(self, function: str, *arguments: Any, timeout_seconds: float | None = None, group: str = "") -> Any:
        return fake_rows(*arguments)

    async def open(self) -> None:
        """It is ready."""

    async def fault(self) -> str | None:
        """Nothing is in the way."""

    async def close(self) -> None:
        """Nothing runs."""


class Life(RuleBasedStateMachine):
    """Two collections in a chain and one beside it; batches of the objects of one bucket."""

    house: ClassVar[House]
    loop: ClassVar[asyncio.Runner]

    def __init__(self) -> None:
        super().__init__()
        self.status: dict[str, str] = {}
        self.objects: list[str] = []

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        answer = self.loop.run(self.house.client.request(method, f"{self.at}{path}", json=body))
        assert answer.status_code < 500, (method, path, answer.text)
        return answer.status_code, answer.json()

    def has(self, states: set[str]) -> bool:
        """Whether there is a batch in one of these states."""
        return any(status in states for status in self.status.values())

    def expect(self, allowed: bool, answer: tuple[int, Any]) -> Any:
        """A call succeeds when the model says so, and is refused with a plain reason when not."""
        code, body = answer
        assert code == 200 if allowed else code in {400, 404, 409}, (code, body)
        return body

    def rows(self, statement: str, **parameters: Any) -> list[dict[str, Any]]:
        return self.loop.run(self.house.rows(statement, **parameters))

    @initialize()
    def begin(self) -> None:
        async def build() -> None:
            async with self.house.db.write() as tx:
                for table in ("batches", "documents", "collections", "objects", "buckets", "procrastinate_jobs"):
                    await tx.execute(f"DELETE FROM {table}")
            await self.house.call(
                "POST",
                "/v1/buckets",
                {"bucket_name": "posts", "bucket_schema": {"properties": {"content": {"type": "text"}}}},
            )
            [row] = await self.house.rows("SELECT bucket_id FROM buckets")
            self.house.bucket_id = row["bucket_id"]
            first = await self.house.add_collection("first")
            await self.house.add_collection("second", source=first)
            await self.house.add_collection("beside")
            self.objects = await self.house.add_objects(*TEXTS)

        self.loop.run(build())
        self.at = f"/v1/buckets/{self.house.bucket_id}/batches"

    def some(self, states: set[str], pick: int) -> str:
        """Return one of the batches in these states."""
        found = [batch for batch, status in self.status.items() if status in states]
        return found[pick % len(found)]

    @rule(
        chosen=st.sets(st.integers(0, len(TEXTS) - 2), min_size=1),
        fatal=st.integers(0, 7),
        strategy=st.sampled_from(["skip", "replace", "force"]),
        submit=st.sampled_from([True, True, True, False]),
    )
    def create(self, chosen: set[int], fatal: int, strategy: str, submit: bool) -> None:
        numbers = [*sorted(chosen), *([len(TEXTS) - 1] if fatal == 0 else [])]
        ids = [self.objects[number] for number in numbers]
        made = self.expect(True, self.call("POST", "", {"dedup_strategy": strategy, "object_ids": ids}))
        self.status[made["batch_id"]] = "DRAFT"
        if submit:
            self.expect(True, self.call("POST", f"/{made['batch_id']}/submit?force=true"))
            self.status[made["batch_id"]] = "QUEUED"

    @precondition(lambda self: self.has({"DRAFT"}))
    @rule(pick=PICK, number=st.integers(0, len(TEXTS) - 1))
    def add(self, pick: int, number: int) -> None:
        code, body = self.call("POST", f"/{self.some({'DRAFT'}, pick)}/objects", {"object_ids": [self.objects[number]]})
        assert code == 200 or "resumes" in body["error"]["message"]

    @precondition(lambda self: self.has({"DRAFT"}))
    @rule(pick=PICK, force=st.booleans())
    def submit(self, pick: int, force: bool) -> None:
        batch = self.some({"DRAFT"}, pick)
        code, _ = self.call("POST", f"/{batch}/submit?force={str(force).lower()}")
        assert code == 200 or (code == 409 and not force)
        self.status[batch] = "QUEUED" if code == 200 else "DRAFT"

    @precondition(lambda self: self.has({"DRAFT"}))
    @rule()
    def submit_all(self) -> None:
        for result in self.expect(True, self.call("POST", "/submit-all"))["results"]:
            assert self.status[result["batch_id"]] == "DRAFT"
            self.status[result["batch_id"]] = result["status"]

    @precondition(lambda self: self.has({"DRAFT", *ACTIVE}))
    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        batch = self.some({"DRAFT", *ACTIVE}, pick)
        assert self.expect(True, self.call("POST", f"/{batch}/cancel"))["cancellation"]["ray_jobs_refused"] == 0
        self.status[batch] = "CANCELED"

    @precondition(lambda self: self.has(ENDED))
    @rule(pick=PICK, mode=st.sampled_from(["transient_only", "all"]), tiers=st.none() | st.lists(TIERS, max_size=2))
    def retry(self, pick: int, mode: str, tiers: list[int] | None) -> None:
        batch = self.some(ENDED, pick)
        body = self.expect(True, self.call("POST", f"/{batch}/retry", {"retry_mode": mode, "tier_nums": tiers}))
        self.status[batch] = "QUEUED" if body["retried_count"] else self.status[batch]

    @precondition(lambda self: self.has(ENDED))
    @rule(pick=PICK, tier=st.none() | TIERS, auto=st.sampled_from([True, True, False]))
    def resubmit(self, pick: int, tier: int | None, auto: bool) -> None:
        batch = self.some(ENDED, pick)
        query = f"?auto_submit={str(auto).lower()}" + ("" if tier is None else f"&from_tier={tier}")
        code, body = self.call("POST", f"/{batch}/resubmit{query}")
        assert code in {200, 409} or (tier and code in {400, 422}), body
        if code == 200:
            self.status[batch] = "QUEUED" if auto else "DRAFT"

    @precondition(lambda self: self.has(ENDED))
    @rule(pick=PICK, tier=TIERS)
    def retry_tier(self, pick: int, tier: int) -> None:
        batch = self.some(ENDED, pick)
        code, _ = self.call("POST", f"/{batch}/tiers/{tier}/retry")
        assert code in {200, 400, 404}
        self.status[batch] = "QUEUED" if code == 200 else self.status[batch]

    @precondition(lambda self: self.has(ACTIVE))
    @rule(pick=PICK, tier=TIERS, name=st.sampled_from(["", "first", "second", "beside"]))
    def cancel_tier_or_job(self, pick: int, tier: int, name: str) -> None:
        batch = self.some(ACTIVE, pick)
        rows = self.rows("SELECT collection_id FROM collections WHERE collection_name = %(n)s", n=name)
        job = f"/jobs/{batch}-{tier}-{rows[0]['collection_id']}" if rows else ""
        code, _ = self.call("POST", f"/{batch}/tiers/{tier}{job}/cancel")
        assert code in {200, 400, 404}

    @precondition(lambda self: self.has(set(STEPS)))
    @rule(pick=PICK, tier=TIERS, action=st.sampled_from(["kill_duplicates", "detect_stuck", "sync_status"]))
    def heal(self, pick: int, tier: int, action: str) -> None:
        code, body = self.call("POST", f"/{self.some(set(STEPS), pick)}/tiers/{tier}/heal", {"action": action})
        assert code == 404 or body["findings"] == [], body

    @precondition(lambda self: self.has(ENDED))
    @rule(pick=PICK)
    def delete_documents(self, pick: int) -> None:
        self.expect(True, self.call("DELETE", f"/{self.some(ENDED, pick)}/documents"))

    @precondition(lambda self: self.has(ENDED) and len(self.status) > 3)
    @rule(pick=PICK)
    def delete(self, pick: int) -> None:
        batch = self.some({"DRAFT", *ENDED}, pick)
        self.expect(True, self.call("DELETE", f"/{batch}"))
        del self.status[batch]

    @precondition(lambda self: self.has(set(STEPS)))
    @rule(pick=PICK)
    def what_the_state_forbids_is_refused(self, pick: int) -> None:
        batch = self.some(set(STEPS), pick)
        status = self.status[batch]
        calls = [("POST", "/objects", {"object_ids": self.objects[:1]}), ("POST", "/submit", None)]
        if status == "DRAFT":
            calls = [("POST", "/tiers/9/cancel", None), ("POST", "/tiers/9/retry", None)]
        calls += [("POST", "/cancel", None)] if status in ENDED else []
        if status not in ENDED:
            calls += [("POST", "/retry", {}), ("POST", "/resubmit", None), ("DELETE", "/documents", None)]
        calls += [("DELETE", "", None), ("POST", "/tiers/0/retry", None)] if status in ACTIVE else []
        for method, path, body in calls:
            self.expect(False, self.call(method, f"/{batch}{path}", body))

    @rule(size=st.integers(1, 4), mended=st.booleans())
    def change_texts(self, size: int, mended: bool) -> None:
        async def change() -> None:
            async with self.house.db.write() as tx:
                await tx.execute(
                    "UPDATE blobs SET text = given.text FROM unnest(%(ids)s::text[], %(texts)s::text[])"
                    " AS given (object_id, text) WHERE blobs.object_id = given.object_id",
                    {
                        "ids": self.objects[2 : 2 + size],
                        "texts": ["mended|well"] * size if mended else list(TEXTS[2 : 2 + size]),
                    },
                )

        self.loop.run(change())

    @rule(count=st.integers(1, 6), newest=st.booleans(), twice=st.booleans())
    def work(self, count: int, newest: bool, twice: bool) -> None:
        """Run some jobs as workers would: in any order, and again when a worker died after its work."""
        for _ in range(count):
            jobs = self.rows(
                "SELECT id, task_name, args FROM procrastinate_jobs WHERE status = 'todo'"
                f" AND task_name <> 'batches.build_indexes' ORDER BY id {'DESC' if newest else ''} LIMIT 1"
            )
            if not jobs:
                return
            for _ in range(1 + twice):
                self.loop.run(self.run_job(jobs[0]))

    @precondition(lambda self: self.has(ACTIVE))
    @rule()
    def work_to_the_end(self) -> None:
        self.work(count=60, newest=False, twice=False)

    async def run_job(self, job: dict[str, Any]) -> None:
        registered = self.house.queue._registered[job["task_name"]]
        try:
            await registered.handler(**job["args"])
        except Exception as error:  # noqa: BLE001 - the queue's own rule: the batch is told
            assert registered.on_give_up is not None
            await registered.on_give_up(error, **job["args"])
        async with self.house.db.write() as tx:
            await tx.execute("DELETE FROM procrastinate_jobs WHERE id = %(id)s", {"id": job["id"]})

    def seen(self, batch: str) -> str:
        [row] = self.rows("SELECT status FROM batches WHERE batch_id = %(b)s", b=batch)
        return str(row["status"])

    @invariant()
    def every_step_is_one_that_may_be_taken(self) -> None:
        if not self.objects:
            return
        rows = {row["batch_id"]: row["status"] for row in self.rows("SELECT batch_id, status FROM batches")}
        assert rows.keys() == self.status.keys()
        for batch, status in rows.items():
            before = self.status[batch]
            reached, frontier = set(STEPS[before]), STEPS[before]
            if before in ACTIVE:
                while frontier:
                    frontier = set().union(*(STEPS[one] & ACTIVE for one in frontier)) - reached
                    reached |= frontier
            assert status in reached, (before, status)
            self.status[batch] = status

    @invariant()
    def the_books_balance(self) -> None:
        if not self.objects:
            return
        for row in self.rows(
            "SELECT n.*, b.status AS batch_status, t.status AS tier_status, (SELECT count(*) FROM row_failures f"
            "   WHERE (f.batch_id, f.tier, f.collection_id, f.part)"
            "     = (n.batch_id, n.tier, n.collection_id, 0)) AS named,"
            " (SELECT coalesce(sum(cardinality(c.source_ids)), 0) FROM batch_chunks c WHERE NOT c.retry"
            "   AND (c.batch_id, c.tier, c.collection_id) = (n.batch_id, n.tier, n.collection_id)"
            "   AND c.state IN ('pending', 'queued')) AS waiting"
            " FROM batch_counts n JOIN batches b USING (namespace_id, batch_id)"
            " JOIN batch_tiers t USING (namespace_id, batch_id, tier)"
        ):
            assert row["submitted"] == row["processed"] + row["failed"] + row["skipped"] + row["waiting"], row
            assert min(row[name] for name in ("submitted", "processed", "failed", "skipped", "canceled")) >= 0, row
            assert row["failed"] == row["named"], row
            if row["batch_status"] in ENDED:
                assert row["waiting"] == 0, row
                assert row["tier_status"] in {*ENDED, "SKIPPED"}, row

    @invariant()
    def something_stands_for_every_active_batch(self) -> None:
        if not self.objects:
            return
        waiting = {
            row["batch_id"]
            for row in self.rows(
                "SELECT args ->> 'batch_id' AS batch_id FROM procrastinate_jobs j JOIN batches b"
                " ON b.batch_id = args ->> 'batch_id' AND b.run = (args ->> 'run')::int WHERE j.status = 'todo'"
            )
        }
        assert {batch for batch, status in self.status.items() if status in ACTIVE} <= waiting

    def teardown(self) -> None:
        """Whatever happened, everything that is active comes to an end, and success is told only where it is true."""
        if not self.objects:
            return
        for _ in range(300):
            if not any(status in ACTIVE for status in self.status.values()):
                break
            self.work(count=5, newest=False, twice=False)
            self.every_step_is_one_that_may_be_taken()
            self.the_books_balance()
        assert not any(status in ACTIVE for status in self.status.values())
        for batch, status in self.status.items():
            if status == "DRAFT":  # what was not begun has no balance
                continue
            _, audit = self.call("GET", f"/{batch}/audit")
            assert audit["all_balanced"], audit
            assert not audit["has_lost_objects"], audit
            if status == "COMPLETED":
                assert all(not tier["failed"] for tier in audit["tiers"]), audit


@pytest.fixture
def life(dsn: str) -> Iterator[type[Life]]:
    folder = Path(tempfile.mkdtemp())
    with asyncio.Runner() as loop:
        stack = AsyncExitStack()

        async def begin() -> None:
            db = Database(dsn, pool_size=4)
            await db.open()
            stack.push_async_callback(db.close)
            Life.house = await stack.enter_async_context(open_house(dsn, db, folder, compute=InProcess()))

        loop.run(begin())
        Life.loop = loop
        try:
            yield Life
        finally:
            loop.run(stack.aclose())
            shutil.rmtree(folder)


@pytest.mark.timeout(300)
def test_no_sequence_of_calls_reaches_an_illegal_state(life: type[Life]) -> None:
    case: Any = life.TestCase
    case.settings = settings(max_examples=4, stateful_step_count=16)
    case().runTest()

"""A house with batches: everything real, an extractor without a model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from tests.extractors import SmallCatalogue
from tests.web import KeysAreNames, add_tenant, application, client_of

from prismhouse.api.batches.control.routes import routes as control_routes
from prismhouse.api.batches.jobs import register_jobs
from prismhouse.api.batches.reports.routes import routes as report_routes
from prismhouse.api.batches.reports.service import Reports
from prismhouse.api.batches.routes import routes
from prismhouse.api.batches.service import Batches
from prismhouse.api.batches.service.control import Control
from prismhouse.api.batches.service.parts import ExtractorSettings, Parts
from prismhouse.api.buckets.routes import routes as bucket_routes
from prismhouse.api.buckets.service import Buckets
from prismhouse.api.collections.routes import routes as collection_routes
from prismhouse.api.collections.service import Collections
from prismhouse.api.documents.service import Documents
from prismhouse.api.objects.service import Objects
from prismhouse.api.tasks.service import Tasks
from prismhouse.api.web.caller import Callers
from prismhouse.api.webhooks.events import Events
from prismhouse.kit.ids import NamespaceId, new_id
from prismhouse.settings import LimitSettings, OutboundSettings, WorkerSettings
from prismhouse.storage.blobs.copies import LocalCopies
from prismhouse.storage.blobs.local import LocalBlobStore
from prismhouse.storage.blobs.port import BlobStore
from prismhouse.storage.compute.local import LocalCompute
from prismhouse.storage.compute.port import Compute
from prismhouse.storage.jobs.procrastinate import ProcrastinateQueue
from prismhouse.storage.jobs.worker import run_worker
from prismhouse.storage.outbound import Fetcher, Sender
from prismhouse.storage.postgres.database import Database

DEADLINE_SECONDS = 60.0
NAMESPACE = NamespaceId("ns_one")
SMALL = WorkerSettings(chunk_rows=4, max_attempts=2, retry_seconds=0.05, stalled_after_seconds=1)


@dataclass
class House:
    """Everything a batch needs, and the verbs of a test."""

    db: Database
    queue: ProcrastinateQueue
    batches: Batches
    objects: Objects
    tasks: Tasks
    client: httpx2.AsyncClient
    parts: Parts
    bucket_id: str = ""
    collections: dict[str, str] = field(default_factory=dict)

    async def call(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        answer = await self.client.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def add_bucket(self) -> str:
        schema = {"properties": {"content": {"type": "text"}, "author": {"type": "string"}}}
        made = await self.call("POST", "/v1/buckets", {"bucket_name": "posts", "bucket_schema": schema})
        self.bucket_id = made["bucket_id"]
        return self.bucket_id

    async def add_collection(self, name: str, *, source: str | None = None, body: dict[str, Any] | None = None) -> str:
        upstream = {"type": "collection", "collection_ids": [source]} if source else None
        extractor = {
            "feature_extractor_name": "text_extractor",
            "version": "v1",
            "input_mappings": {"text": "text" if source else "content"},
            "field_passthrough": ["author"],
        }
        asked = {
            "collection_name": name,
            "source": upstream or {"type": "bucket", "bucket_ids": [self.bucket_id]},
            "feature_extractor": extractor,
            **(body or {}),
        }
        made = await self.call("POST", "/v1/collections", asked)
        self.collections[name] = made["collection_id"]
        return str(made["collection_id"])

    async def add_objects(self, *texts: str | None) -> list[str]:
        ids = [new_id("obj") for _ in texts]
        given = [(name, text) for name, text in zip(ids, texts, strict=True) if text is not None]
        async with self.db.write() as tx:
            await tx.execute(
                "INSERT INTO objects (namespace_id, bucket_id, object_id, fields)"
                ' SELECT %(n)s, %(b)s, name, \'{"author": "ann"}\' FROM unnest(%(ids)s::text[]) AS name',
                {"n": NAMESPACE, "b": self.bucket_id, "ids": ids},
            )
            await tx.execute(
                "INSERT INTO blobs"
                " (namespace_id, object_id, blob_id, ordinal, property, type, text, sha256, size_bytes)"
                " SELECT %(n)s, name, 'blob_' || name, 0, 'content', 'text', text, repeat('0', 64), length(text)"
                " FROM unnest(%(ids)s::text[], %(texts)s::text[]) AS given (name, text)",
                {"n": NAMESPACE, "ids": [name for name, _ in given], "texts": [text for _, text in given]},
            )
        return ids

    async def marked(self) -> dict[str, tuple[str, str | None]]:
        """Return status and error of every object."""
        rows = await self.rows("SELECT object_id, status, error FROM objects")
        return {row["object_id"]: (row["status"], row["error"]) for row in rows}

    async def submit(self, object_ids: Sequence[str] | None, **more: Any) -> str:
        at = f"/v1/buckets/{self.bucket_id}/batches"
        body = {**({} if object_ids is None else {"object_ids": list(object_ids)}), **more}
        batch = await self.call("POST", at, body)
        await self.call("POST", f"{at}/{batch['batch_id']}/submit")
        return str(batch["batch_id"])

    async def read(self, batch_id: str) -> dict[str, Any]:
        answer: dict[str, Any] = await self.call("GET", f"/v1/buckets/{self.bucket_id}/batches/{batch_id}")
        return answer

    async def ended(self, batch_id: str) -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while (shown := await self.read(batch_id))["status"] in {"QUEUED", "PROCESSING"}:
                await asyncio.sleep(0.05)
        return shown

    async def until(self, met: Callable[[dict[str, Any]], bool], batch_id: str) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not met(await self.read(batch_id)):
                await asyncio.sleep(0.02)

    async def idle(self) -> None:
        """Wait until no job that is due waits or runs."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while await self.rows(
                "SELECT 1 FROM procrastinate_jobs"
                " WHERE status IN ('todo', 'doing') AND coalesce(scheduled_at, now()) < now() + interval '60 s'"
            ):
                await asyncio.sleep(0.05)

    async def run(self, object_ids: Sequence[str] | None, **more: Any) -> dict[str, Any]:
        batch_id = await self.submit(object_ids, **more)
        async with self.working():
            return await self.ended(batch_id)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        worker = asyncio.create_task(
            run_worker(self.queue, stop=stop, concurrency=3, stalled_after_seconds=1, stop_timeout_seconds=5)
        )
        try:
            yield
        finally:
            stop.set()
            await worker

    async def rows(self, statement: str, **parameters: Any) -> list[dict[str, Any]]:
        async with self.db.read() as tx:
            return await tx.fetch_all(statement, parameters)


@asynccontextmanager
async def open_house(
    dsn: str,
    db: Database,
    folder: Path,
    *,
    tenant: bool = True,
    blobs: BlobStore | None = None,
    copies_bytes: int = 1 << 30,
    worker: WorkerSettings = SMALL,
    limits: LimitSettings | None = None,
    compute: Compute | None = None,
) -> AsyncIterator[House]:
    """Yield a house whose compute processes run `fake_rows`; its files are in `folder` or in given `blobs`."""
    if tenant:
        await add_tenant(db, "one")
    queue, tasks, events = ProcrastinateQueue(dsn, max_attempts=2), Tasks(db), Events()
    catalogue, fetcher, blobs = SmallCatalogue(), Fetcher(OutboundSettings()), blobs or LocalBlobStore(folder / "blobs")
    buckets = Buckets(db, tasks=tasks, jobs=queue)
    limits = limits or LimitSettings()
    objects = Objects(db, buckets=buckets, blobs=blobs, fetcher=fetcher, events=events, limits=limits)
    collections = Collections(db, catalogue=catalogue, buckets=buckets)
    documents = Documents(db, collections=collections, objects=objects, filter_depth=limits.filter_depth)
    compute = compute or LocalCompute(2)
    parts = Parts(
        db=db,
        queue=queue,
        compute=compute,
        gatherers=compute,
        blobs=blobs,
        copies=LocalCopies(blobs, folder / "copies", room_bytes=copies_bytes),
        tasks=tasks,
        events=events,
        sender=Sender(OutboundSettings(allow_networks=("127.0.0.0/8",), allow_ports=())),
        buckets=buckets,
        objects=objects,
        collections=collections,
        documents=documents,
        catalogue=catalogue,
        worker=worker,
        chunks_in_flight=2,
        limits=limits,
        extraction=ExtractorSettings(cache_dir=str(folder), function="tests.fake_extraction:fake_rows"),
    )
    batches = Batches(parts)
    register_jobs(parts, batches)
    collections.guard_deletion(batches.active_of_collection)
    callers = Callers(KeysAreNames())
    app = application(
        [
            bucket_routes(buckets, callers),
            collection_routes(collections, callers),
            report_routes(Reports(parts, batches), callers),
            control_routes(Control(parts), callers),
            routes(batches, callers),
        ]
    )
    async with client_of(app) as client:
        yield House(db, queue, batches, objects, tasks, client, parts)
    await compute.close()
    await fetcher.close()

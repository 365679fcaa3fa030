"""A house with buckets and objects: real database, real folder of blobs, a queue that runs jobs when told to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from tests.web import KeysAreNames, add_tenant, application, client_of

from prismhouse.api.buckets import routes as bucket_routes
from prismhouse.api.buckets.service import Buckets
from prismhouse.api.objects import routes as object_routes
from prismhouse.api.objects.service import Objects
from prismhouse.api.web.caller import Callers
from prismhouse.api.webhooks.events import Events
from prismhouse.kit.ids import TaskId, new_id
from prismhouse.settings import LimitSettings, OutboundSettings
from prismhouse.storage.blobs.local import LocalBlobStore
from prismhouse.storage.jobs.queue import GiveUpHandler, JobHandler
from prismhouse.storage.outbound import Fetcher
from prismhouse.storage.postgres.database import Database, Writer


@dataclass
class PatientQueue:
    """Keeps jobs until `run_all`."""

    handlers: dict[str, JobHandler] = field(default_factory=dict)
    on_give_up: dict[str, GiveUpHandler] = field(default_factory=dict)
    jobs: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def register(self, name: str, handler: JobHandler, *, on_give_up: GiveUpHandler | None = None, **_: Any) -> None:
        self.handlers[name] = handler
        if on_give_up is not None:
            self.on_give_up[name] = on_give_up

    async def enqueue(
        self,
        tx: Writer,
        name: str,
        arguments: Sequence[Mapping[str, Any]],
        *,
        priority: int = 0,
        lock: str | None = None,
    ) -> None:
        self.jobs += [(name, item) for item in arguments]

    async def run_all(self) -> None:
        while self.jobs:
            name, arguments = self.jobs.pop(0)
            await self.handlers[name](**arguments)


@dataclass
class TaskRows:
    """Remembers tasks."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def create(self, tx: Writer, *, task_id: TaskId | None = None, **values: Any) -> TaskId:
        made = task_id or TaskId(new_id("task"))
        self.rows[made] = {"status": "PENDING", **values}
        return made

    async def update(self, tx: Writer, task_id: TaskId, **values: Any) -> None:
        self.rows[task_id] |= {name: value for name, value in values.items() if value is not None}


@dataclass
class House:
    """What tests hold in their hands."""

    db: Database
    buckets: Buckets
    objects: Objects
    blobs: LocalBlobStore
    blob_folder: Path
    queue: PatientQueue
    tasks: TaskRows
    client: httpx2.AsyncClient
    stranger: httpx2.AsyncClient

    async def bucket(self, properties: Mapping[str, Any], **more: Any) -> str:
        """Create a bucket; return its id."""
        body = {"bucket_name": new_id("b"), "bucket_schema": {"properties": properties}, **more}
        answer = await self.client.post("/v1/buckets", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["bucket_id"])

    async def object(self, bucket: str, body: Mapping[str, Any], **query: Any) -> dict[str, Any]:
        """Create an object; return the answer."""
        answer = await self.client.post(f"/v1/buckets/{bucket}/objects", json=body, params=query)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def files(self) -> list[Path]:
        """Return the stored blobs."""
        return [path for path in self.blob_folder.rglob("*") if path.is_file()]

    async def event_types(self) -> list[str]:
        """Return what was announced, in order."""
        async with self.db.read() as tx:
            return [row["event_type"] for row in await tx.fetch_all("SELECT event_type FROM events ORDER BY sequence")]


async def build(db: Database, folder: Path, *, outbound: OutboundSettings | None = None, **limits: Any) -> House:
    """Return a house with the tenants `one` and `two`."""
    await add_tenant(db, "one")
    await add_tenant(db, "two")
    queue, tasks = PatientQueue(), TaskRows()
    blobs = LocalBlobStore(folder)
    buckets = Buckets(db, tasks=tasks, jobs=queue)
    objects = Objects(
        db,
        buckets=buckets,
        blobs=blobs,
        fetcher=Fetcher(outbound or OutboundSettings()),
        events=Events(),
        limits=LimitSettings(**limits),
    )
    callers = Callers(KeysAreNames())
    app = application([bucket_routes.routes(buckets, callers), object_routes.routes(objects, callers)])
    return House(
        db=db,
        buckets=buckets,
        objects=objects,
        blobs=blobs,
        blob_folder=folder,
        queue=queue,
        tasks=tasks,
        client=client_of(app),
        stranger=client_of(app, "sk_two"),
    )

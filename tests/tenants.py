"""Two real organizations on a fresh database, and an application of the parts that are joined here."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2
from fastapi import APIRouter, FastAPI
from tests.extractors import SmallCatalogue

from prismhouse.api.namespaces import routes as namespace_routes
from prismhouse.api.namespaces.deletion import Deletion
from prismhouse.api.namespaces.expiry import Expiry
from prismhouse.api.namespaces.service import Namespaces
from prismhouse.api.organizations import routes as organization_routes
from prismhouse.api.organizations.service import Organizations
from prismhouse.api.tasks import routes as task_routes
from prismhouse.api.tasks.service import Tasks
from prismhouse.api.web.caller import Callers
from prismhouse.api.webhooks.events import Events
from prismhouse.kit.ids import NamespaceId
from prismhouse.server import health
from prismhouse.server.app import assemble
from prismhouse.storage.jobs.queue import GiveUpHandler, JobHandler
from prismhouse.storage.postgres.database import Database, Writer


class RememberedJobs:
    """A queue that keeps what is enqueued; `run` does it."""

    def __init__(self) -> None:
        self.handlers: dict[str, JobHandler] = {}
        self.delays: list[float] = []
        self.on_give_up: dict[str, GiveUpHandler] = {}
        self.waiting: list[tuple[str, dict[str, Any]]] = []

    def register(
        self, name: str, handler: JobHandler, *, on_give_up: GiveUpHandler | None = None, cron: str | None = None
    ) -> None:
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
        delay_seconds: float = 0,
    ) -> None:
        self.delays.append(delay_seconds)
        self.waiting += [(name, dict(one)) for one in arguments]

    async def run(self) -> None:
        while self.waiting:
            name, arguments = self.waiting.pop(0)
            await self.handlers[name](**arguments)


class DescribedCatalogue(SmallCatalogue):
    """Describes a record with the keys that the contract requires."""

    def describe(self, record: Any) -> dict[str, Any]:
        return {
            "feature_extractor_name": record.name,
            "version": record.version,
            "feature_extractor_id": record.extractor_id,
            "source": "builtin",
            "description": record.description,
            "input_schema": dict(record.input_schema),
            "output_schema": dict(record.output_schema),
            "supported_input_types": [],
            "max_inputs": {},
            "default_parameters": {},
            "position_fields": [],
        }


class ForgetfulBlobs:
    """Knows only which namespaces were emptied."""

    def __init__(self) -> None:
        self.emptied: list[str] = []

    async def delete_namespace(self, namespace_id: NamespaceId) -> None:
        self.emptied.append(namespace_id)


class ForgetfulStaging:
    """Knows only of which namespaces the staged files were discarded."""

    def __init__(self) -> None:
        self.emptied: list[tuple[str, str]] = []

    async def discard_namespace(self, organization_id: str, namespace_id: NamespaceId) -> None:
        self.emptied.append((organization_id, namespace_id))


@dataclass
class Estate:
    """The parts, and the plaintext keys of two organizations."""

    db: Database
    organizations: Organizations
    namespaces: Namespaces
    tasks: Tasks
    deletion: Deletion
    jobs: RememberedJobs
    blobs: ForgetfulBlobs
    staging: ForgetfulStaging
    app: FastAPI
    key: str = ""
    other_key: str = ""
    clients: list[httpx2.AsyncClient] = field(default_factory=list)

    def client(self, key: str | None = None, **headers: str) -> httpx2.AsyncClient:
        """Return a client with the first organization's admin key, or with `key`; "" sends none."""
        chosen = self.key if key is None else key
        if chosen:
            headers["Authorization"] = f"Bearer {chosen}"
        client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(self.app, raise_app_exceptions=False),
            base_url="http://house",
            headers=headers,
        )
        self.clients.append(client)
        return client

    async def close(self) -> None:
        for client in self.clients:
            await client.aclose()
        await self.namespaces.settle()


async def raise_estate(db: Database, *, body_bytes: int = 100_000, extra: Sequence[APIRouter] = ()) -> Estate:
    """Return the joined parts with two organizations."""
    organizations = Organizations(db)
    tasks = Tasks(db)
    jobs, blobs, staging = RememberedJobs(), ForgetfulBlobs(), ForgetfulStaging()
    deletion = Deletion(db, jobs=jobs, receipts=tasks, blobs=blobs, staging=staging)
    expiry = Expiry(db, jobs=jobs, events=Events(), deletion=deletion)
    namespaces = Namespaces(db, organizations=organizations, catalogue=DescribedCatalogue(), expiry=expiry)
    callers = Callers(namespaces)
    routers = [
        health.routes(db),
        organization_routes.routes(organizations, callers),
        namespace_routes.routes(namespaces, callers, deletion=deletion),
        task_routes.routes(tasks, callers),
        *extra,
    ]
    key = await organizations.bootstrap()
    assert key is not None
    _, other_key = await organizations.create(name=f"other {uuid.uuid4().hex[:6]}")
    app = assemble(routers, body_bytes=body_bytes)
    return Estate(
        db=db,
        organizations=organizations,
        namespaces=namespaces,
        tasks=tasks,
        deletion=deletion,
        jobs=jobs,
        blobs=blobs,
        staging=staging,
        app=app,
        key=key,
        other_key=other_key,
    )

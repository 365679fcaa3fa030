"""A house with uploads: real database, real folder, real signed URLs; files are put straight into its staging."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from tests.integration.ingest import PatientQueue, TaskRows
from tests.web import KeysAreNames, add_tenant, application, client_of

from prismhouse.api.buckets import routes as bucket_routes
from prismhouse.api.buckets.service import Buckets
from prismhouse.api.objects import routes as object_routes
from prismhouse.api.objects.service import Objects
from prismhouse.api.tasks.service import Tasks
from prismhouse.api.uploads import routes as upload_routes
from prismhouse.api.uploads.service import Uploads
from prismhouse.api.web.caller import Callers
from prismhouse.api.web.links import Downloads
from prismhouse.api.webhooks.events import Events
from prismhouse.kit.ids import NamespaceId, new_id
from prismhouse.server import files
from prismhouse.settings import LimitSettings, OutboundSettings
from prismhouse.storage.blobs.local import LocalBlobStore
from prismhouse.storage.blobs.local_links import LocalBlobLinks
from prismhouse.storage.blobs.local_staging import LocalStaging
from prismhouse.storage.blobs.signing import Signer
from prismhouse.storage.blobs.signing_keys import SigningKeys
from prismhouse.storage.outbound import Fetcher
from prismhouse.storage.postgres.database import Database

__all__ = ["House", "build"]

SCHEMA: dict[str, Any] = {
    "photo": {"type": "image"},
    "color": {"type": "string", "enum": ["red", "blue"]},
    "price": {"type": "number"},
}


@dataclass
class House:
    """What tests hold in their hands."""

    db: Database
    buckets: Buckets
    objects: Objects
    uploads: Uploads
    staging: LocalStaging
    folder: Path
    queue: PatientQueue
    client: httpx2.AsyncClient
    stranger: httpx2.AsyncClient

    async def bucket(self, properties: Mapping[str, Any] | None = None, **more: Any) -> str:
        """Create a bucket; return its id."""
        body = {"bucket_name": new_id("b"), "bucket_schema": {"properties": properties or SCHEMA}, **more}
        answer = await self.client.post("/v1/buckets", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["bucket_id"])

    async def upload(self, bucket: str, filename: str = "a.png", **more: Any) -> dict[str, Any]:
        """Create an upload; return the answer."""
        body = {"filename": filename, "content_type": "image/png", **more}
        answer = await self.client.post(f"/v1/buckets/{bucket}/uploads", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def put(self, key: str, data: bytes = b"bytes", *, age_seconds: float = 0) -> None:
        """Stage bytes as a PUT to the signed URL does, some time ago."""
        await self.staging.receive(key, _chunks(data), content_type="image/png", limit_bytes=2**30)
        if age_seconds:
            card = self.staging._card(key)
            moment = card.stat().st_mtime - age_seconds
            os.utime(card, (moment, moment))

    async def set(self, upload_id: str, **columns: Any) -> None:
        """Give a row columns that only time or a confirmation gives it. Text starting with `now()` is an expression."""
        expressions = {name: value for name, value in columns.items() if str(value).startswith("now()")}
        values = {name: value for name, value in columns.items() if name not in expressions}
        sets = [f"{name} = {value}" for name, value in expressions.items()] + [f"{n} = %({n})s" for n in values]
        async with self.db.write() as tx:
            changed = await tx.execute(
                f"UPDATE uploads SET {', '.join(sets)} WHERE upload_id = %(id)s", {**values, "id": upload_id}
            )
        assert changed == 1

    async def complete(self, upload_id: str, data: bytes = b"bytes", **columns: Any) -> str:
        """Make an upload one that was confirmed; return the SHA-256 of its bytes."""
        stored = await self.blobs.put(NamespaceId("ns_one"), data)
        found = {
            "status": "COMPLETED",
            "sha256": stored.sha256,
            "md5": stored.md5,
            "etag": stored.md5,
            "size_bytes": stored.size_bytes,
            "completed_at": "now()",
            "verified_at": "now()",
        }
        await self.set(upload_id, **found | columns)
        return stored.sha256

    @property
    def blobs(self) -> LocalBlobStore:
        """The blob store."""
        return self.staging._blobs

    async def row(self, upload_id: str) -> dict[str, Any] | None:
        """Return the row as it is stored."""
        async with self.db.read() as tx:
            return await tx.fetch_one("SELECT * FROM uploads WHERE upload_id = %(id)s", {"id": upload_id})


async def _chunks(data: bytes) -> AsyncIterator[bytes]:
    yield data


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def build(db: Database, folder: Path, **limits: Any) -> House:
    """Return a house with the tenants `one` and `two`."""
    await add_tenant(db, "one")
    await add_tenant(db, "two")
    queue = PatientQueue()
    blobs = LocalBlobStore(folder)
    signer = Signer(SigningKeys(folder.with_name("signing.json")))
    staging = LocalStaging(blobs, signer=signer, base_url=lambda: "http://house")
    buckets = Buckets(db, tasks=TaskRows(), jobs=queue)
    bounds = LimitSettings(**limits)
    fetcher = Fetcher(OutboundSettings())
    objects = Objects(db, buckets=buckets, blobs=blobs, fetcher=fetcher, events=Events(), limits=bounds)
    downloads = Downloads(LocalBlobLinks(signer=signer, base_url=lambda: "http://house"))
    tasks = Tasks(db)
    uploads = Uploads(
        db,
        buckets=buckets,
        objects=objects,
        staging=staging,
        downloads=downloads,
        limits=bounds,
        tasks=tasks,
        jobs=queue,
    )
    callers = Callers(KeysAreNames())
    app = application(
        [
            bucket_routes.routes(buckets, callers),
            object_routes.routes(objects, callers),
            upload_routes.routes(uploads, callers),
            files.routes(files.LocalFiles(staging=staging, blobs=blobs, signer=signer), limit_bytes=bounds.blob_bytes),
        ]
    )
    return House(
        db=db,
        buckets=buckets,
        objects=objects,
        uploads=uploads,
        staging=staging,
        folder=folder,
        queue=queue,
        client=client_of(app),
        stranger=client_of(app, "sk_two"),
    )

"""An ASGI application with a few routers, and a client that calls it as a member of one namespace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2
from fastapi import APIRouter, FastAPI

from prismhouse.api.web import errors
from prismhouse.api.web.caller import Caller, NamespaceCaller, Unauthorized
from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.kit.ids import KeyId, NamespaceId, OrganizationId
from prismhouse.storage.postgres.database import Database, NamespaceReader

BUCKETS = {
    "bkt_posts": {"content": {"type": "text"}, "author": {"type": "string"}, "views": {"type": "integer"}},
    "bkt_notes": {"content": {"type": "text"}, "author": {"type": "string"}},
    "bkt_odd": {"content": {"type": "image"}},
    "bkt_pages": {"file": {"type": "pdf"}},
    "bkt_sounds": {"file": {"type": "audio"}},
    "bkt_sites": {"site": {"type": "string"}},
    "bkt_films": {"file": {"type": "video"}},
    "bkt_two_texts": {"title": {"type": "text"}, "body": {"type": "text"}},
}


class BucketNotFound(WarehouseError):
    """No bucket {id}."""

    code = Code.NOT_FOUND
    hint = "List buckets."


@dataclass(frozen=True)
class Bucket:
    bucket_id: str
    bucket_schema: Mapping[str, Any]


class FixedBuckets:
    """Buckets by id and by name, which is the id without its prefix."""

    async def resolve(self, tx: NamespaceReader, identifier: str) -> Bucket:
        bucket_id = identifier if identifier.startswith("bkt_") else f"bkt_{identifier}"
        if bucket_id not in BUCKETS:
            raise BucketNotFound(id=identifier)
        return Bucket(bucket_id, {"properties": BUCKETS[bucket_id]})


class KeysAreNames:
    """An authenticator for tests: key `sk_x` belongs to organization `org_x`, which owns namespace `ns_x`."""

    async def authenticate(self, key: str, *, origin: str | None) -> Caller:
        if not key.startswith("sk_"):
            raise Unauthorized(reason="The key is unknown.")
        name = key.removeprefix("sk_")
        return Caller(
            organization_id=OrganizationId(f"org_{name}"),
            organization_name=name,
            user_id="usr_1",
            user_email="user@example.com",
            key_id=KeyId("key_1"),
            key_name="test",
            key_prefix="sk_",
            key_type="standard",
            permissions=frozenset({"delete"}),
            namespaces=None,
            principal_id=None,
            expires_at=None,
        )

    async def enter(self, key: str, namespace: str | None, *, origin: str | None) -> NamespaceCaller:
        caller = await self.authenticate(key, origin=origin)
        name = key.removeprefix("sk_")
        return NamespaceCaller(caller=caller, namespace_id=NamespaceId(f"ns_{name}"), namespace_name=name)


async def add_tenant(db: Database, name: str) -> NamespaceId:
    """Store the organization and the namespace of the key `sk_<name>`."""
    async with db.write() as tx:
        await tx.execute("INSERT INTO organizations VALUES (%(o)s, %(n)s)", {"o": f"org_{name}", "n": name})
        await tx.execute(
            "INSERT INTO namespaces (namespace_id, organization_id, namespace_name) VALUES (%(ns)s, %(o)s, %(n)s)",
            {"ns": f"ns_{name}", "o": f"org_{name}", "n": name},
        )
    return NamespaceId(f"ns_{name}")


def application(routers: Sequence[APIRouter]) -> FastAPI:
    """Return an application with these routers and the error envelope."""
    app = FastAPI()
    errors.install(app)
    for router in routers:
        app.include_router(router)
    return app


def client_of(app: FastAPI, key: str = "sk_one") -> httpx2.AsyncClient:
    """Return a client that sends `key`."""
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app, raise_app_exceptions=False),
        base_url="http://house",
        headers={"Authorization": f"Bearer {key}"},
    )

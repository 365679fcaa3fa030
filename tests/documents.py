"""A client on a real database, in one namespace, and collections with documents."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import httpx2
import orjson
import pytest
from mixpeek.models import ListDocumentsResponse
from tests.extractors import SmallCatalogue
from tests.tenants import RememberedJobs
from tests.web import FixedBuckets, KeysAreNames, add_tenant, application, client_of

from prismhouse.api.audit.service import Audit
from prismhouse.api.collections.routes import routes as collection_routes
from prismhouse.api.collections.service import Collections
from prismhouse.api.documents import NewDocument
from prismhouse.api.documents.changes.routes import routes as change_routes
from prismhouse.api.documents.changes.service import BulkChanges, DocumentChanges, SeveralDocuments
from prismhouse.api.documents.indexes.routes import routes as index_routes
from prismhouse.api.documents.indexes.service import PayloadIndexes
from prismhouse.api.documents.routes import routes
from prismhouse.api.documents.service import Documents
from prismhouse.api.tasks.service import Tasks
from prismhouse.api.web.caller import Callers
from prismhouse.kit.ids import CollectionId, DocumentId, NamespaceId
from prismhouse.storage.jobs.procrastinate import ProcrastinateQueue
from prismhouse.storage.postgres.database import Database, NamespaceReader

__all__ = ["ONE", "URI", "House", "decode", "house", "published_list"]

ONE = NamespaceId("ns_one")
URI = "mixpeek://text_extractor@v1/all_minilm_l6_v2_v1"


def published_list(collection: str, *, search: str, limit: int) -> dict[str, Any]:
    """Return the published request that has every key of a list of documents."""
    return {
        "filters": {
            "AND": [
                {"field": "name", "operator": "eq", "value": "John"},
                {"field": "age", "operator": "gte", "value": 30},
            ],
            "OR": [
                {"field": "status", "operator": "eq", "value": "active"},
                {"field": "role", "operator": "eq", "value": "admin"},
            ],
            "NOT": [
                {"field": "department", "operator": "eq", "value": "HR"},
                {"field": "location", "operator": "eq", "value": "remote"},
            ],
            "case_sensitive": True,
        },
        "sort": {"field": "created_at", "direction": "desc"},
        "search": search,
        "return_presigned_urls": False,
        "return_vectors": False,
        "return_vector_names": False,
        "group_by": "source_object_id",
        "select": ["metadata.title", "content"],
        "expand": ["customer_id"],
        "limit": limit,
        "offset": 0,
        "collection_ids": [collection],
    }


class FixedObjects:
    """Two objects."""

    async def load(self, tx: NamespaceReader, object_ids: Sequence[str]) -> dict[str, Any]:
        return {one: one for one in object_ids if one in {"obj_1", "obj_2"}}


class House:
    """What a test looks at: a client, and collections with documents."""

    def __init__(self, db: Database, client: httpx2.AsyncClient, documents: Documents, indexes: PayloadIndexes) -> None:
        self.db = db
        self.client = client
        self.documents = documents
        self.indexes = indexes
        self.ids: dict[str, str] = {}

    async def declare(self, **fields: str) -> None:
        """Declare payload indexes, a double underscore for a dot, as a namespace does, and build them."""
        names = [{"field_name": name.replace("__", "."), "type": kind} for name, kind in fields.items()]
        async with self.db.write() as unit:
            await self.indexes.declare(unit.within(ONE), names)
        await self.indexes.build()

    async def add_collection(self, name: str) -> str:
        body = {
            "collection_name": name,
            "source": {"type": "bucket", "bucket_ids": ["bkt_posts"]},
            "feature_extractor": {"feature_extractor_name": "text_extractor", "version": "v1"},
        }
        made = await self.client.post("/v1/collections", json=body)
        self.ids[name] = made.json()["collection_id"]
        return self.ids[name]

    async def add(self, collection: str, payloads: Mapping[str, Mapping[str, Any]], **columns: Any) -> None:
        made = [
            NewDocument(
                document_id=DocumentId(f"doc_{name}"),
                collection_id=CollectionId(self.ids[collection]),
                payload=payload,
                **columns,
            )
            for name, payload in payloads.items()
        ]
        async with self.db.write() as unit:
            await self.documents.write(unit.within(ONE), made)

    async def list(self, collection: str, **body: Any) -> dict[str, Any]:
        answer = await self.client.post(f"/v1/collections/{collection}/documents/list", json=body)
        assert answer.status_code == 200, answer.text
        ListDocumentsResponse.from_dict(answer.json())
        return answer.json()  # type: ignore[no-any-return]

    async def names(self, collection: str, **body: Any) -> list[str]:
        """Follow the cursor to the end."""
        found: list[str] = []
        while True:
            page = await self.list(collection, **body)
            found += [one["document_id"].removeprefix("doc_") for one in page["results"]]
            body["cursor"] = page["pagination"]["next_cursor"]
            assert page["pagination"]["has_more"] is (body["cursor"] is not None)
            if body["cursor"] is None:
                return found


def decode(cursor: str) -> list[Any]:
    return orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))  # type: ignore[no-any-return]


def link(namespace_id: NamespaceId, blob: Mapping[str, Any]) -> str:
    return f"http://house/signed/{blob['checksum']}"


@pytest.fixture
async def house(db: Database) -> AsyncIterator[House]:
    await add_tenant(db, "one")
    await add_tenant(db, "two")
    collections = Collections(db, catalogue=SmallCatalogue(), buckets=FixedBuckets())
    indexes = PayloadIndexes(db, jobs=ProcrastinateQueue(db.dsn))
    documents = Documents(db, collections=collections, objects=FixedObjects(), link_blob=link, indexes=indexes)
    callers = Callers(KeysAreNames())
    audit = Audit(db)
    changes = change_routes(
        DocumentChanges(db, collections=collections, documents=documents, audit=audit),
        SeveralDocuments(db, collections=collections, audit=audit),
        BulkChanges(db, collections=collections, tasks=Tasks(db), jobs=RememberedJobs(), audit=audit),
        callers,
    )
    listing = [routes(documents, callers), index_routes(indexes, callers)]
    app = application([collection_routes(collections, callers), *listing, changes])
    async with client_of(app) as client:
        made = House(db, client, documents, indexes)
        await made.add_collection("articles")
        yield made
        await indexes.settle()

"""A namespace of the whole application with a collection, and a way to put documents into it."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from tests.opened import Open

__all__ = ["Shelf", "shelf"]


class Shelf:
    """A client in one namespace with the collection `articles`."""

    def __init__(self, opened: Open, client: httpx2.AsyncClient) -> None:
        self.opened = opened
        self.client = client
        self.path = "/v1/collections/articles/documents"
        self.collection_id = ""
        self.bucket_id = ""

    async def send(self, method: str, path: str, body: Any = None, status: int = 200, **given: Any) -> Any:
        """Return the JSON of an answer with this status; a path without `/v1` is below the collection's documents."""
        whole = path if path.startswith("/v1/") else f"{self.path}{path}"
        sent = {} if body is None else {"json": body}
        answer = await (given.get("client") or self.client).request(method, whole, **sent)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def add(self, **fields: Any) -> str:
        """Create a document and return its id."""
        return str((await self.send("POST", "", fields))["document_id"])

    async def fault(self, method: str, path: str, body: Any) -> str:
        """Return where and why a body was refused with 422."""
        error = (await self.send(method, path, body, 422))["error"]
        first = error["details"]["validation_errors"][0]
        return f"{'.'.join(map(str, first['location']))}: {first['message']}"

    async def user(self, principal_id: str, *, permissions: tuple[str, ...] = ("read", "write", "delete")) -> Any:
        """Return a client with a key that is bound to an end user."""
        body = {"name": principal_id, "principal_id": principal_id, "permissions": list(permissions)}
        made = await self.opened.client().post("/v1/organizations/users/admin@localhost/api-keys", json=body)
        assert made.status_code == 200, made.text
        return self.opened.client(made.json()["key"], **{"X-Namespace": "shelf"})


@pytest.fixture
async def shelf(opened: Open) -> Shelf:
    await opened.client().post("/v1/namespaces", json={"namespace_name": "shelf"})
    made = Shelf(opened, opened.client(**{"X-Namespace": "shelf"}))
    schema = {"properties": {"text": {"type": "text"}}}
    bucket = await made.send("POST", "/v1/buckets", {"bucket_name": "posts", "bucket_schema": schema})
    made.bucket_id = bucket["bucket_id"]
    collection = {
        "collection_name": "articles",
        "source": {"type": "bucket", "bucket_ids": [made.bucket_id]},
        "feature_extractor": {
            "feature_extractor_name": "text_extractor",
            "version": "v1",
            "input_mappings": {"text": "text"},
        },
    }
    made.collection_id = (await made.send("POST", "/v1/collections", collection))["collection_id"]
    return made

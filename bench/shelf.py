"""The corpus in the product: written from inside, indexed as declared over HTTP, asked over HTTP and as bare SQL."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg.rows import dict_row

from bench.corpus import FIELDS, batches, document_id
from bench.warehouse import declare, retriever
from prismhouse.api.documents.model import NewDocument
from prismhouse.api.documents.schemas import ListDocuments
from prismhouse.api.web.caller import Scope
from prismhouse.api.web.paging import Page
from prismhouse.cli.demo.house import House
from prismhouse.kit.ids import DocumentId, NamespaceId, OrganizationId
from prismhouse.server.wiring import House as Product
from prismhouse.server.wiring import build
from prismhouse.settings import Settings
from prismhouse.storage.postgres import vectors as vector_store
from prismhouse.storage.postgres.database import NamespaceReader
from prismhouse.storage.postgres.embedded import running_dsn

__all__ = ["Client", "Shelf", "Statement", "fill", "record", "replay"]

ROWS_PER_TRANSACTION = 1000
WRITERS = 2
BUILD_TIMEOUT_SECONDS = 600.0
# What every connection says of itself; no setting of the product.
_OWN_SETTINGS = {"application_name", "client_encoding"}

Floats = npt.NDArray[np.float32]
Statement = tuple[str, dict[str, Any], bool | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Where the documents stand and what it took to bring them there; no retriever without vectors."""

    house: House
    dsn: str
    namespace_id: NamespaceId
    collection_id: str
    retriever_id: str | None
    write_seconds: float
    vector_index_seconds: float
    field_index_seconds: float


class Client:
    """One kept connection to the server."""

    def __init__(self, house: House) -> None:
        self._connection = http.client.HTTPConnection(house.url.removeprefix("http://"), timeout=120)
        self._headers = {**house.headers, "Content-Type": "application/json"}

    def ask(self, path: str, body: bytes, *, method: str = "POST") -> tuple[bytes, float]:
        """Return the answer and how long it took."""
        began = time.perf_counter()
        self._connection.request(method, path, body, self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        seconds = time.perf_counter() - began
        if answer.status != http.client.OK:
            raise SystemExit(f"{path} answered {answer.status}: {content[:600]!r}")
        return content, seconds

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


def fill(house: House, file: Path, vectors: Floats | None) -> Shelf:
    """Write the documents of a file, and their vectors, then have the declared fields indexed."""
    namespace_id, collection = declare(house)
    dsn = running_dsn(house.data_dir / "postgres")
    written, indexed = asyncio.run(_write(house, dsn, namespace_id, collection, file, vectors))
    began = time.perf_counter()
    _declare_fields(house, dsn, namespace_id)
    fields = time.perf_counter() - began
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE documents")
        connection.execute("CHECKPOINT")
    uri = collection["vector_indexes"][0]["feature_uri"]
    return Shelf(
        house=house,
        dsn=dsn,
        namespace_id=namespace_id,
        collection_id=collection["collection_id"],
        retriever_id=None if vectors is None else retriever(house, "by-vector", uri, "vector", "array"),
        write_seconds=written,
        vector_index_seconds=indexed,
        field_index_seconds=fields,
    )


async def _write(
    house: House, dsn: str, namespace_id: NamespaceId, collection: dict[str, Any], file: Path, vectors: Floats | None
) -> tuple[float, float]:
    product = build(Settings(data_dir=house.data_dir), dsn)
    await product.open()
    uri = collection["vector_indexes"][0]["feature_uri"]
    async with product.db.read() as tx:
        index = (await vector_store.load(tx.within(namespace_id), [uri]))[uri]
    sets = batches(file, ROWS_PER_TRANSACTION)
    began = time.perf_counter()
    writers = [_writer(product, namespace_id, collection, sets, vectors, index) for _ in range(WRITERS)]
    await asyncio.gather(*writers)
    written = time.perf_counter()
    if vectors is not None:
        await vector_store.build_approximate_indexes(product.db, namespace_id)
    indexed = time.perf_counter()
    await product.close()
    return written - began, indexed - written


async def _writer(
    product: Product,
    namespace_id: NamespaceId,
    collection: dict[str, Any],
    sets: Iterator[list[dict[str, Any]]],
    vectors: Floats | None,
    index: vector_store.VectorIndex,
) -> None:
    """Write one set after the other until none is left."""
    for documents in sets:
        rows = [
            NewDocument(
                document_id=DocumentId(document_id(one["number"])),
                collection_id=collection["collection_id"],
                payload=one,
            )
            for one in documents
        ]
        first = documents[0]["number"]
        async with product.db.write() as writer:
            tx = writer.within(namespace_id)
            await product.documents.write(tx, rows)
            if vectors is not None:
                await vector_store.write(
                    tx,
                    index,
                    collection_id=collection["collection_id"],
                    document_ids=[row.document_id for row in rows],
                    vectors=vectors[first : first + len(rows)],
                )
        done = first + len(rows)
        if done % 100_000 == 0:
            print(f"    {done:,} documents are written", flush=True)


def _declare_fields(house: House, dsn: str, namespace_id: NamespaceId) -> None:
    """Declare the fields over HTTP and wait until the server has built their indexes."""
    fields = [{"field_name": name, "type": kind} for name, kind in FIELDS.items()]
    client = Client(house)
    client.ask(f"/v1/namespaces/{namespace_id}", json.dumps({"payload_indexes": fields}).encode(), method="PATCH")
    client.close()
    deadline = time.monotonic() + BUILD_TIMEOUT_SECONDS
    with psycopg.connect(dsn, autocommit=True) as connection:
        while True:
            states = connection.execute("SELECT field_name, state, error FROM payload_indexes").fetchall()
            if len(states) == len(FIELDS) and all(state == "ready" for _, state, _ in states):
                return
            if time.monotonic() > deadline or any(state == "failed" for _, state, _ in states):
                raise SystemExit(f"the declared indexes were not built: {states}")
            time.sleep(0.1)


async def record(shelf: Shelf, bodies: list[dict[str, Any]]) -> tuple[list[list[Statement]], dict[str, str]]:
    """List with the product's own code in this process; return what it asked of `documents`, and its settings."""
    sent: list[list[Statement]] = []
    fetch_all = NamespaceReader.fetch_all

    async def recording(
        self: NamespaceReader, statement: Any, parameters: Any = None, *, prepare: bool | None = None
    ) -> Any:
        if "FROM documents" in str(statement):
            sent[-1].append((statement, {**(parameters or {}), "namespace_id": self.namespace_id}, prepare))
        return await fetch_all(self, statement, parameters, prepare=prepare)

    product = build(Settings(data_dir=shelf.house.data_dir), shelf.dsn)
    await product.open()
    scope = Scope(organization_id=OrganizationId("bench"), namespace_id=shelf.namespace_id)
    NamespaceReader.fetch_all = recording  # type: ignore[method-assign]
    try:
        for body in bodies:
            sent.append([])
            page = Page(limit=body["limit"], offset=0, cursor=body.get("cursor"), include_total=False)
            request = ListDocuments.model_validate(body)
            await product.documents.list_in(scope, shelf.collection_id, request=request, page=page)
    finally:
        NamespaceReader.fetch_all = fetch_all  # type: ignore[method-assign]
    async with product.db.read() as unit:
        rows = await unit.fetch_all("SELECT name, setting FROM pg_settings WHERE source = 'client'")
    await product.close()
    return sent, {row["name"]: row["setting"] for row in rows if row["name"] not in _OWN_SETTINGS}


def replay(shelf: Shelf, sent: list[list[Statement]], session: dict[str, str]) -> Iterator[float]:
    """Yield how long the statements of each list take on one connection, all rows read; the first are asked twice."""
    options = " ".join(f"-c {name}={value}" for name, value in session.items())
    with psycopg.connect(shelf.dsn, autocommit=True, row_factory=dict_row, options=options) as connection:
        for timed, statements in [*((False, one) for one in sent[:20]), *((True, one) for one in sent)]:
            began = time.perf_counter()
            for text, parameters, prepare in statements:
                connection.execute(text, parameters, prepare=prepare).fetchall()
            if timed:
                yield time.perf_counter() - began

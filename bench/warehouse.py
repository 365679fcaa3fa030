"""A collection of many documents, written from inside: what the search measurement searches."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg.rows import dict_row

from bench.texts import texts
from prismhouse.api.documents.model import NewDocument
from prismhouse.api.retrievers.schemas import ExecuteRetriever
from prismhouse.api.web.caller import Scope
from prismhouse.cli.demo.house import House
from prismhouse.kit.ids import CollectionId, DocumentId, NamespaceId, OrganizationId
from prismhouse.server.wiring import House as Product
from prismhouse.server.wiring import build
from prismhouse.settings import Settings
from prismhouse.storage.postgres import vectors as vector_store
from prismhouse.storage.postgres.database import NamespaceReader
from prismhouse.storage.postgres.embedded import running_dsn
from prismhouse.storage.postgres.halfvec import HalfVector, half_vector

__all__ = ["Loaded", "Recorded", "declare", "load", "record_statement", "retriever", "sql_seconds"]

SEED = 13
ROWS_PER_TRANSACTION = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Where the documents stand and what it took to bring them there."""

    dsn: str
    namespace_id: NamespaceId
    collection_id: CollectionId
    feature_uri: str
    vector_retriever_id: str
    text_retriever_id: str
    write_seconds: float
    index_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A statement as the product sent it; `vector_name` is the parameter that holds the query vector."""

    text: str
    parameters: dict[str, Any]
    prepare: bool | None
    vector_name: str
    session: dict[str, str]


async def load(house: House, vectors: npt.NDArray[np.float32], fields: dict[str, npt.NDArray[np.int64]]) -> Loaded:
    """Declare everything over HTTP, write the documents and their vectors set by set, build the index."""
    namespace_id, collection = declare(house)
    dsn = running_dsn(house.data_dir / "postgres")
    product = build(Settings(data_dir=house.data_dir), dsn)
    await product.open()
    began = time.perf_counter()
    await _write(product, namespace_id, collection, vectors, fields)
    written = time.perf_counter()
    await vector_store.build_approximate_indexes(product.db, namespace_id)
    indexed = time.perf_counter()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    await product.close()
    uri = collection["vector_indexes"][0]["feature_uri"]
    return Loaded(
        dsn=dsn,
        namespace_id=namespace_id,
        collection_id=collection["collection_id"],
        feature_uri=uri,
        vector_retriever_id=retriever(house, "by-vector", uri, "vector", "array"),
        text_retriever_id=retriever(house, "by-text", uri, "text", "text"),
        write_seconds=written - began,
        index_seconds=indexed - written,
    )


def declare(house: House) -> tuple[NamespaceId, dict[str, Any]]:
    """Make a namespace and a collection of texts; return the namespace's id and the collection."""
    extractor: dict[str, Any] = {"feature_extractor_name": "text_extractor", "version": "v1"}
    made = house.post("/namespaces", {"namespace_name": "bench", "feature_extractors": [extractor]})
    house.enter(made["namespace_id"])
    schema = {"properties": {"content": {"type": "text"}}}
    bucket_id = house.post("/buckets", {"bucket_name": "texts", "bucket_schema": schema})["bucket_id"]
    source = {"type": "bucket", "bucket_ids": [bucket_id]}
    extractor["input_mappings"] = {"text": "content"}
    body = {"collection_name": "texts", "source": source, "feature_extractor": extractor}
    return made["namespace_id"], house.post("/collections", body)


async def _write(
    product: Product,
    namespace_id: NamespaceId,
    collection: dict[str, Any],
    vectors: npt.NDArray[np.float32],
    fields: dict[str, npt.NDArray[np.int64]],
) -> None:
    db, collection_id = product.db, collection["collection_id"]
    uri = collection["vector_indexes"][0]["feature_uri"]
    prose = texts(ROWS_PER_TRANSACTION, seed=SEED, median_words=80, sigma=0.3)
    async with db.read() as tx:
        index = (await vector_store.load(tx.within(namespace_id), [uri]))[uri]
    for start in range(0, len(vectors), ROWS_PER_TRANSACTION):
        numbers = range(start, min(start + ROWS_PER_TRANSACTION, len(vectors)))
        rows = [_document(collection_id, number, prose[number - start], fields) for number in numbers]
        async with db.write() as writer:
            tx = writer.within(namespace_id)
            await product.documents.write(tx, rows)
            await vector_store.write(
                tx,
                index,
                collection_id=collection_id,
                document_ids=[row.document_id for row in rows],
                vectors=vectors[start : start + ROWS_PER_TRANSACTION],
            )


def _document(
    collection_id: CollectionId, number: int, text: str, fields: dict[str, npt.NDArray[np.int64]]
) -> NewDocument:
    values = {name: int(column[number]) for name, column in fields.items()}
    return NewDocument(
        document_id=DocumentId(f"doc_{number:08d}"),
        collection_id=collection_id,
        payload={"text": f"{text} {number}", **values},
    )


def retriever(house: House, name: str, uri: str, mode: str, input_type: str) -> str:
    """Make a retriever of the ten nearest documents and return its id."""
    field = "vector" if mode == "vector" else "query"
    search = {
        "feature_uri": uri,
        "query": {"input_mode": mode, "value": f"{{{{INPUT.{field}}}}}"},
        "top_k": 10,
    }
    parameters = {"searches": [search], "final_top_k": 10}
    body = {
        "retriever_name": name,
        "collection_identifiers": ["texts"],
        "input_schema": {field: {"type": input_type, "required": True}},
        "stages": [{"stage_name": "search", "config": {"stage_id": "feature_search", "parameters": parameters}}],
    }
    made: str = house.post("/retrievers", body)["retriever_id"]
    return made


async def record_statement(
    house: House, loaded: Loaded, *, filters: dict[str, Any] | None, vector: npt.NDArray[np.float32], limit: int
) -> Recorded:
    """Run the retriever once with the product's own code in this process, and keep the search's statement."""
    sent: list[tuple[str, dict[str, Any], bool | None]] = []
    fetch_one = NamespaceReader.fetch_one

    async def recording(
        self: NamespaceReader, statement: Any, parameters: Any = None, *, prepare: bool | None = None
    ) -> Any:
        sent.append((statement, {**(parameters or {}), "namespace_id": self.namespace_id}, prepare))
        return await fetch_one(self, statement, parameters, prepare=prepare)

    product = build(Settings(data_dir=house.data_dir), loaded.dsn)
    await product.open()
    request = ExecuteRetriever(inputs={"vector": vector.tolist()}, limit=limit, filters=filters)
    scope = Scope(organization_id=OrganizationId("bench"), namespace_id=loaded.namespace_id)
    NamespaceReader.fetch_one = recording  # type: ignore[method-assign]
    try:
        await product.retrievers.execute(scope, loaded.vector_retriever_id, request)
    finally:
        NamespaceReader.fetch_one = fetch_one  # type: ignore[method-assign]
    async with product.db.read() as unit:
        rows = await unit.fetch_all("SELECT name, setting FROM pg_settings WHERE source = 'client'")
    await product.close()
    for text, parameters, prepare in sent:
        for name, value in parameters.items():
            if isinstance(value, HalfVector):
                session = {row["name"]: row["setting"] for row in rows}
                return Recorded(text=text, parameters=parameters, prepare=prepare, vector_name=name, session=session)
    raise SystemExit("The retriever sent no statement with a vector.")


def sql_seconds(loaded: Loaded, recorded: Recorded, queries: npt.NDArray[np.float32], *, warm_up: int) -> list[float]:
    """Return how long the statement takes for each query vector, all rows read."""
    vectors = [half_vector(query) for query in queries]
    options = " ".join(f"-c {name}={value}" for name, value in recorded.session.items() if "." in name)
    seconds = []
    with psycopg.connect(loaded.dsn, autocommit=True, row_factory=dict_row, options=options) as connection:
        for vector in [*vectors[:warm_up], *vectors]:
            began = time.perf_counter()
            parameters = {**recorded.parameters, recorded.vector_name: vector}
            connection.execute(recorded.text, parameters, prepare=recorded.prepare).fetchall()
            seconds.append(time.perf_counter() - began)
    return seconds[warm_up:]

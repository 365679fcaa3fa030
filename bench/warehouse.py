"""A collection of many documents, written from inside: what the search measurement searches."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg

from bench.texts import texts
from prismhouse.api.documents.model import NewDocument
from prismhouse.api.documents.service import Documents
from prismhouse.cli.demo.house import House
from prismhouse.kit.ids import CollectionId, DocumentId, NamespaceId
from prismhouse.storage.postgres import vectors as vector_store
from prismhouse.storage.postgres.database import Database
from prismhouse.storage.postgres.embedded import running_dsn

__all__ = ["Loaded", "load", "recorded_statement", "sql_seconds"]

SEED = 13
ROWS_PER_TRANSACTION = 1000
SESSION_OPTIONS = "-c hnsw.iterative_scan=relaxed_order -c hnsw.ef_search=80 -c default_transaction_read_only=on"


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


async def load(house: House, vectors: npt.NDArray[np.float32], fields: dict[str, npt.NDArray[np.int64]]) -> Loaded:
    """Declare everything over HTTP, write the documents and their vectors set by set, build the index."""
    namespace_id, collection = _declare(house)
    dsn = running_dsn(house.data_dir / "postgres")
    db = Database(dsn, pool_size=2)
    await db.open()
    began = time.perf_counter()
    await _write(db, namespace_id, collection, vectors, fields)
    written = time.perf_counter()
    await vector_store.build_approximate_indexes(db, namespace_id)
    indexed = time.perf_counter()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    await db.close()
    uri = collection["vector_indexes"][0]["feature_uri"]
    return Loaded(
        dsn=dsn,
        namespace_id=namespace_id,
        collection_id=collection["collection_id"],
        feature_uri=uri,
        vector_retriever_id=_retriever(house, "by-vector", uri, "vector", "array"),
        text_retriever_id=_retriever(house, "by-text", uri, "text", "text"),
        write_seconds=written - began,
        index_seconds=indexed - written,
    )


def _declare(house: House) -> tuple[NamespaceId, dict[str, Any]]:
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
    db: Database,
    namespace_id: NamespaceId,
    collection: dict[str, Any],
    vectors: npt.NDArray[np.float32],
    fields: dict[str, npt.NDArray[np.int64]],
) -> None:
    documents, collection_id = Documents(db), collection["collection_id"]
    uri = collection["vector_indexes"][0]["feature_uri"]
    prose = texts(ROWS_PER_TRANSACTION, seed=SEED, median_words=80, sigma=0.3)
    async with db.read() as tx:
        index = (await vector_store.load(tx.within(namespace_id), [uri]))[uri]
    for start in range(0, len(vectors), ROWS_PER_TRANSACTION):
        numbers = range(start, min(start + ROWS_PER_TRANSACTION, len(vectors)))
        rows = [_document(collection_id, number, prose[number - start], fields) for number in numbers]
        async with db.write() as writer:
            tx = writer.within(namespace_id)
            await documents.write(tx, rows)
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


def _retriever(house: House, name: str, uri: str, mode: str, input_type: str) -> str:
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

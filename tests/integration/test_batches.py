"""Batches from a draft to their end, with rows that fail in every way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.batches import NAMESPACE, House, open_house

from prismhouse.storage.postgres.database import Database


@pytest.fixture
async def house(dsn: str, db: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(dsn, db, tmp_path) as opened:
        await opened.add_bucket()
        yield opened


async def test_a_batch_writes_documents_and_vectors(house: House) -> None:
    collection_id = await house.add_collection("notes")
    ids = await house.add_objects("a|b", "c", "d", "e", "f", "g")

    shown = await house.run(ids)

    assert shown["status"] == "COMPLETED", shown
    assert shown["lifecycle"] == "indexed"
    assert shown["documents_resolvable"] is True
    assert shown["documents_written"] == 7
    assert shown["progress"]["percent"] == 100.0
    assert shown["dag_tiers"] == [[collection_id]]
    documents = await house.rows("SELECT * FROM documents ORDER BY payload->>'text'")
    assert [document["payload"]["text"] for document in documents] == ["a", "b", "c", "d", "e", "f", "g"]
    assert documents[0]["payload"]["author"] == "ann"
    assert documents[0]["lineage_path"] == f"{house.bucket_id}/{collection_id}"
    [index] = await house.rows("SELECT table_name FROM vector_indexes")
    assert (await house.rows(f"SELECT count(*) AS n FROM {index['table_name']}"))[0]["n"] == 7
    assert set(house.objects.marked) == set(ids)
    task = await house.tasks.read("org_one", shown["task_id"])
    assert (task["status"], task["task_type"]) == ("COMPLETED", "api_buckets_batches_process")
    [event] = await house.rows("SELECT * FROM events WHERE event_type = 'batch.completed'")
    assert event["resource_id"] == shown["batch_id"]
    assert event["namespace_id"] == NAMESPACE

"""Deep health: each flag is looked at, none is a constant."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.web import application, client_of

from prismhouse.server import health
from prismhouse.storage.blobs.local import LocalBlobStore
from prismhouse.storage.postgres.database import Database


async def no_model() -> str | None:
    return "No model can run here."


@pytest.mark.parametrize("broken", [True, False])
async def test_storage_and_inference_are_down_when_they_do_not_work(db: Database, tmp_path: Path, broken: bool) -> None:
    blobs = LocalBlobStore(tmp_path / "blobs")
    if broken:
        (tmp_path / "blobs" / "incoming").rename(tmp_path / "gone")
    router = health.routes(db, object_storage=blobs.fault, inference=no_model if broken else None)

    answer = (await client_of(application([router])).get("/v1/health/deep")).json()

    assert answer["data"]["object_storage"] is not broken
    assert answer["data"]["inference"] is not broken
    assert ("object_storage" in answer["errors"]) is broken
    assert answer["data"]["metadata"] is True
    if not broken:
        assert list((tmp_path / "blobs" / "incoming").iterdir()) == []

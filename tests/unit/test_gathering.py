"""Rows that are gathered together: one that cannot be ends the others, which nobody waits for any more."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from prismhouse.api.batches.service.gather import gathered
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.turns import Turns
from prismhouse.engine.extractors.port import ExtractorRecord, Row
from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.compute.port import ComputeUnavailable


class Gatherers:
    def __init__(self) -> None:
        self.began, self.ended = asyncio.Event(), asyncio.Event()

    async def run(self, function: str, parameters: Any, row: Row, *_: Any, **__: Any) -> Row:
        if row.row_id == "fails":
            await self.began.wait()
            raise ComputeUnavailable(reason="no cluster")
        try:
            self.began.set()
            await asyncio.Event().wait()
        finally:
            self.ended.set()
        return row


async def test_no_crawl_goes_on_when_another_of_its_chunk_raises() -> None:
    gatherers = Gatherers()
    parts = cast("Parts", SimpleNamespace(gathering_turns=Turns(2), gatherers=gatherers, gathering=None))
    record = cast("ExtractorRecord", SimpleNamespace(gatherer="x:y", gathering_parameter=None))
    rows = [Row(row_id=name, inputs={}) for name in ("slow", "fails", "waits")]

    async with asyncio.timeout(10):
        with pytest.raises(ComputeUnavailable):
            await gathered(parts, NamespaceId("n"), record, {}, rows)

    assert gatherers.ended.is_set()

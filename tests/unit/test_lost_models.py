"""Who asks for vectors, or for what a model says, and loses the process: told so, and not of rows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from prismhouse.api.batches.service.turns import Turns
from prismhouse.api.inference.errors import InferenceLost
from prismhouse.api.inference.service import Pool
from prismhouse.api.models.errors import ModelLost
from prismhouse.api.models.service import Lender, QueryEmbedders
from prismhouse.engine.inference.lent import LentModel
from prismhouse.kit.errors import WarehouseError
from prismhouse.storage.compute.port import MessageTooLarge, WorkerLost

LOSSES = [WorkerLost(function="embed"), MemoryError(), MessageTooLarge("The arguments are too large")]


class Losing:
    """Processes that die, or have no memory left."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def run(self, function: str, *arguments: Any, timeout_seconds: float | None = None, group: str = "") -> Any:
        raise self.error


class OneModel:
    """Lends the same model to everybody."""

    @asynccontextmanager
    async def model(self, tx: Any, model_id: str) -> AsyncIterator[LentModel]:
        yield LentModel(name=model_id, title="house 1", dimensions=2, sha256="0")


@pytest.mark.parametrize("error", LOSSES)
async def test_a_query_is_told_of_its_model_when_the_process_is_lost(error: Exception) -> None:
    queries = QueryEmbedders(
        cast("Lender", OneModel()), compute=cast("Any", Losing(error)), threads=1, cache_dir="", slow_at_once=1
    )

    with pytest.raises(ModelLost, match="The model house 1 ran out of memory") as lost:
        await queries.embed(cast("Any", None), "mdl_1", ["a"])

    assert_speaks_of_no_rows(lost.value)


@pytest.mark.parametrize("error", LOSSES)
async def test_a_raw_inference_is_told_of_its_model_when_the_process_is_lost(error: Exception) -> None:
    pool = Pool(cast("Any", Losing(error)), Turns(1))

    with pytest.raises(InferenceLost) as lost:
        await pool.run("a:b", model="house", share="ns")

    assert_speaks_of_no_rows(lost.value)


def assert_speaks_of_no_rows(error: WarehouseError) -> None:
    assert " row" not in error.message
    assert (error.code.status, error.code.retryable, error.wire_code) == (503, True, "inference_lost")

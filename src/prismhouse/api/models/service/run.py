"""Deploying: a model is unpacked, loaded once and tried out in a compute process, by a job that may crash."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import structlog

from prismhouse.api.models import store
from prismhouse.api.models.errors import ModelLost, ModelNotFound
from prismhouse.api.models.service.lend import Lender
from prismhouse.api.web.caller import NamespaceCaller
from prismhouse.engine.inference.uploaded import Probed
from prismhouse.kit.errors import WarehouseError
from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.compute.port import Compute, ComputeTimedOut, ComputeUnavailable, WorkerLost
from prismhouse.storage.jobs.queue import JobQueue
from prismhouse.storage.postgres.database import Database, DatabaseUnavailable, Record

__all__ = ["DEPLOY_JOB", "Deployments"]

DEPLOY_JOB = "models.deploy"
_PROBE = "prismhouse.engine.inference.uploaded:probe"
_PATIENCE_SECONDS = 20.0
_LOOK_SECONDS = 0.1
_KILLED = "Loading it ended its process, as it does when memory runs out or the weights are damaged."
_log = structlog.get_logger(__name__)


class Deployments:
    """Tries models out. An answer waits a while for the job; who asks again is told how it stands."""

    def __init__(
        self,
        db: Database,
        *,
        lender: Lender,
        compute: Compute,
        jobs: JobQueue,
        threads: int,
        cache_dir: str,
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> None:
        self._db = db
        self._lender = lender
        self._compute = compute
        self._jobs = jobs
        self._threads = threads
        self._cache_dir = cache_dir
        self.patience_seconds = patience_seconds
        jobs.register(DEPLOY_JOB, self.run, on_give_up=self._give_up)

    async def deploy(self, caller: NamespaceCaller, model_id: str) -> tuple[Record, bool]:
        """Have a model deployed; return how it stands after a while, and whether it was so before."""
        begun = await self._begin(caller.namespace_id, model_id)
        if begun["status"] == "deployed":
            return begun, True
        until = time.monotonic() + self.patience_seconds
        while True:
            async with self._db.read() as tx:
                row = await store.find_in_namespace(tx.within(caller.namespace_id), model_id)
            if row is None:
                raise ModelNotFound(model_id)
            if row["status"] != "pending" or time.monotonic() >= until:
                return row, False
            await asyncio.sleep(_LOOK_SECONDS)

    async def _begin(self, namespace_id: NamespaceId, model_id: str) -> Record:
        async with self._db.write() as unit:
            tx = unit.within(namespace_id)
            row = await store.lock_in_namespace(tx, model_id)
            if row is None:
                raise ModelNotFound(model_id)
            if row["status"] not in {"deployed", "pending"}:
                run = await store.begin_deployment(tx, model_id)
                job = {"namespace_id": namespace_id, "model_id": model_id, "run": run}
                await self._jobs.enqueue(unit, DEPLOY_JOB, [job])
            return row

    async def run(self, *, namespace_id: NamespaceId, model_id: str, run: int) -> None:
        """The job: try the model out and write what came of it."""
        async with self._db.read() as tx:
            row = await store.find_in_namespace(tx.within(namespace_id), model_id)
        if row is None or row["status"] != "pending" or row["run"] != run:
            return
        message, dimensions = None, None
        try:
            dimensions = (await self._probe(row)).dimensions
        except (ComputeUnavailable, DatabaseUnavailable):
            raise
        except (WorkerLost, ModelLost, MemoryError):
            message = _KILLED
        except ComputeTimedOut as error:
            message = f"Loading it took longer than {error.details['timeout_seconds']} s."
        except WarehouseError as error:
            message = error.message
        except Exception as error:  # noqa: BLE001 - recorded as the reason of the failure
            message = f"Loading it raised {type(error).__name__}: {error}"
            _log.warning("a model cannot be loaded", model_id=model_id, exc_info=error)
        await self._end(namespace_id, model_id, run, message, dimensions)

    async def _probe(self, row: Record) -> Probed:
        async with self._lender.ready(row) as lent:
            probed: Probed = await self._compute.run(_PROBE, lent, self._threads, self._cache_dir, group=lent.name)
        return probed

    async def _end(
        self, namespace_id: NamespaceId, model_id: str, run: int, message: str | None, dimensions: int | None
    ) -> None:
        stored = None if message is None else message.replace("\x00", "")[:2000]
        async with self._db.write() as tx:
            await store.end_deployment(
                tx.within(namespace_id), model_id, run=run, message=stored, dimensions=dimensions
            )

    async def _give_up(self, error: Exception, **job: Any) -> None:
        reason = error.message if isinstance(error, WarehouseError) else f"{type(error).__name__}: {error}"
        await self._end(job["namespace_id"], job["model_id"], job["run"], reason, None)

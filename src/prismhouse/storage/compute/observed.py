"""Any compute adapter, with its calls counted and traced."""

from __future__ import annotations

import time
from typing import Any

from prismhouse.storage.compute.port import Compute, ComputeTimedOut, WorkerLost
from prismhouse.telemetry import traces
from prismhouse.telemetry.families import COMPUTE_CALL_SECONDS, COMPUTE_PROCESSES_LOST

__all__ = ["ObservedCompute"]


class ObservedCompute:
    """Implements `Compute` by another one."""

    def __init__(self, compute: Compute) -> None:
        self.compute = compute

    async def fault(self) -> str | None:
        """See `Compute.fault`."""
        return await self.compute.fault()

    async def open(self) -> None:
        """See `Compute.open`."""
        await self.compute.open()

    async def run(self, function: str, *arguments: Any, timeout_seconds: float | None = None, group: str = "") -> Any:
        """See `Compute.run`."""
        started = time.perf_counter()
        outcome = "returned"
        try:
            with traces.span(f"compute {function.rpartition(':')[2]}", "client"):
                return await self.compute.run(function, *arguments, timeout_seconds=timeout_seconds, group=group)
        except (WorkerLost, ComputeTimedOut) as error:
            outcome = "died" if isinstance(error, WorkerLost) else "timed_out"
            COMPUTE_PROCESSES_LOST.add(outcome)
            raise
        except Exception:
            outcome = "raised"
            raise
        except BaseException:
            outcome = "cancelled"
            raise
        finally:
            COMPUTE_CALL_SECONDS.observe(outcome, seconds=time.perf_counter() - started)

    async def close(self) -> None:
        """See `Compute.close`."""
        await self.compute.close()

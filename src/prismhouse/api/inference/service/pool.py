"""Work that must not hold up queries, in a process that can be killed: files are decoded there, and nowhere else."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from prismhouse.api.inference.errors import InferenceLost, InferenceTimedOut
from prismhouse.storage.compute.port import Compute, ComputeTimedOut, WorkerLost

__all__ = ["Pool", "Turning"]


class Turning(Protocol):
    """Slots of the processes, given to namespaces by turns."""

    def turn(self, share: str) -> AbstractAsyncContextManager[None]:
        """Wait for a slot, and hold it until the end of the block."""
        ...


class Pool:
    """Processes of this API process, which start when they are needed and end when they are idle."""

    def __init__(self, compute: Compute, turns: Turning) -> None:
        self._compute = compute
        self._turns = turns

    async def run(self, function: str, *arguments: Any, model: str, share: str) -> Any:
        """Return what `module:function` returns, or raise what it raises.

        Raises:
            InferenceLost: the process died, or had no memory left.
            InferenceTimedOut: it took too long, and was killed.
        """
        async with self._turns.turn(share):
            try:
                return await self._compute.run(function, *arguments, group=model)
            except (WorkerLost, MemoryError) as error:
                raise InferenceLost(model=model) from error
            except ComputeTimedOut as error:
                raise InferenceTimedOut(model=model, timeout_seconds=error.details["timeout_seconds"]) from error

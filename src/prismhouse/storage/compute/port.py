"""The compute port: run an importable function on a batch in another process, and survive its death."""

from __future__ import annotations

from typing import Any, Protocol

from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["Compute", "ComputeTimedOut", "WorkerLost"]


class WorkerLost(WarehouseError):
    """The process that ran {function} died (killed, out of memory, or a crash in native code)."""

    code = Code.UNAVAILABLE
    hint = "The rows are tried again, in smaller groups; a row that kills its process is reported as failed."


class ComputeTimedOut(WarehouseError):
    """{function} ran longer than {timeout_seconds} s and was stopped."""

    code = Code.UNAVAILABLE
    hint = "Raise PRISMHOUSE_COMPUTE__CALL_TIMEOUT_SECONDS or send smaller files."


class Compute(Protocol):
    """Run `module:function` with one picklable argument tuple in a pool of processes.

    One death costs one call: its caller gets WorkerLost, the others go on. Retries are the caller's.
    """

    async def run(self, function: str, *arguments: Any, timeout_seconds: float | None = None) -> Any:
        """Return what the function returned, re-raise what it raised, or raise WorkerLost or ComputeTimedOut."""
        ...

    async def close(self) -> None:
        """Stop all processes."""
        ...

"""The compute port: run an importable function on a batch in another process, and survive its death."""

from __future__ import annotations

from typing import Any, Protocol

from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["Compute", "ComputeTimedOut", "ComputeUnavailable", "FilesTooLarge", "MessageTooLarge", "WorkerLost"]


class WorkerLost(WarehouseError):
    """The process that ran {function} died (killed, out of memory, or a crash in native code)."""

    code = Code.UNAVAILABLE
    hint = "The rows are tried again, in smaller groups; a row that kills its process is reported as failed."


class ComputeTimedOut(WarehouseError):
    """{function} ran longer than {timeout_seconds} s and was stopped."""

    code = Code.UNAVAILABLE
    hint = "Raise PRISMHOUSE_COMPUTE__CALL_TIMEOUT_SECONDS or send smaller files."


class ComputeUnavailable(WarehouseError):
    """Extraction has nowhere to run: {reason}."""

    code = Code.UNAVAILABLE
    hint = "The work is tried again for a while; docs/ray.md says what a cluster needs."


class MessageTooLarge(MemoryError):
    """The arguments or the result of one call are larger than may travel; fewer rows make it smaller."""


class FilesTooLarge(OSError):
    """The files of one call are larger than may be sent to another node; fewer rows make it smaller."""


class Compute(Protocol):
    """Run `module:function` with one picklable argument tuple in a pool of processes.

    One death costs one call: its caller gets WorkerLost, the others go on. Retries are the caller's. A `Path` among
    the arguments, at any depth, names a file to read: the function gets a path that it can open where it runs.
    """

    async def open(self) -> None:
        """Begin to get ready, and return; what is in the way is logged, and raised by `run`."""
        ...

    async def run(self, function: str, *arguments: Any, timeout_seconds: float | None = None, group: str = "") -> Any:
        """Return what the function returned, or re-raise what it raised. Cancelling the caller kills the call.

        Args:
            function: `module:function`.
            arguments: given to it by position.
            timeout_seconds: at this limit the process is killed; unset, the adapter's own.
            group: calls of one group go to processes that have loaded what it needs, where such are idle.

        Raises:
            WorkerLost: the process, or the machine it ran on, died.
            ComputeTimedOut: the call did not end in time.
            ComputeUnavailable: no process could be started.
        """
        ...

    async def fault(self) -> str | None:
        """Return what keeps calls from running, or None; in two seconds at most."""
        ...

    async def close(self) -> None:
        """Stop all processes."""
        ...

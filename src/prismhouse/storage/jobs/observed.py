"""A job's attempt, counted and traced."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from prismhouse.storage.jobs.queue import JobHandler
from prismhouse.telemetry import traces
from prismhouse.telemetry.families import JOB_SECONDS, JOBS

__all__ = ["carrying", "observed"]

# Arguments that a span shows: which piece of work it was.
_SHOWN = ("namespace_id", "batch_id", "task_id", "tier", "chunk")


def carrying(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a new job, with the trace that it belongs to."""
    origin = traces.carry()
    return {**arguments, traces.CARRIED: origin} if origin else dict(arguments)


def observed(name: str, run: JobHandler, *, last: type[Exception]) -> JobHandler:
    """Return `run` with its attempts counted; `last` is what it raises when it is not tried again."""

    async def attempt(context: Any, **arguments: Any) -> None:
        carried = arguments.pop(traces.CARRIED, None)
        shown = {f"prismhouse.{key}": arguments.get(key) for key in _SHOWN} if traces.tracing() else None
        started = time.perf_counter()
        outcome = "succeeded"
        try:
            with traces.span(f"job {name}", "consumer", carried=carried, attributes=shown):
                await run(context, **arguments)
        except last:
            outcome = "failed"
            raise
        except Exception:
            outcome = "retried"
            raise
        except BaseException:
            outcome = "stopped"
            raise
        finally:
            JOBS.add(name, outcome)
            JOB_SECONDS.observe(name, seconds=time.perf_counter() - started)

    return attempt

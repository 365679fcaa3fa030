"""A fetch, counted and traced. Spans do not name the host: users give these URLs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prismhouse.kit.errors import WarehouseError
from prismhouse.telemetry import traces
from prismhouse.telemetry.families import OUTBOUND_REQUESTS, OUTBOUND_SECONDS

__all__ = ["observed"]


@contextmanager
def observed(*, refusal: type[WarehouseError]) -> Iterator[None]:
    """Count what happens inside as one fetch; `refusal` is raised for URLs that are not fetched at all."""
    started = time.perf_counter()
    outcome = "cancelled"
    try:
        with traces.span("fetch", "client"):
            yield
        outcome = "fetched"
    except WarehouseError as error:
        outcome = "refused" if isinstance(error, refusal) else "unreachable"
        raise
    finally:
        OUTBOUND_REQUESTS.add(outcome)
        OUTBOUND_SECONDS.observe(seconds=time.perf_counter() - started)

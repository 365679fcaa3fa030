"""Attempts to deliver, counted once they are noted."""

from __future__ import annotations

from collections.abc import Iterable

from prismhouse.telemetry.families import WEBHOOK_DELIVERIES, WEBHOOK_SECONDS

__all__ = ["tally"]

_RETRIED = {"pending": "retried"}


def tally(attempts: Iterable[tuple[str, float]]) -> None:
    """Count attempts by what their delivery became, and how many milliseconds each took."""
    for status, duration_ms in attempts:
        WEBHOOK_DELIVERIES.add(_RETRIED.get(status, status))
        WEBHOOK_SECONDS.observe(seconds=duration_ms / 1000)

"""A webhook's run of failures: how it began, how it goes on, and when it is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prismhouse.kit.clock import iso, utc_now

__all__ = ["Run"]


@dataclass(slots=True)
class Run:
    """Attempts of one webhook, in the order in which they ended."""

    _attempts: list[tuple[str, str | None]] = field(default_factory=list)

    def add(self, status: str, error: str | None) -> None:
        """Take an attempt: delivered, pending (to be tried again) or failed (given up)."""
        self._attempts.append((status, error))

    def after(self, known: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """Return the health after these attempts, given that before; None where the last run is over.

        `consecutive_failures` counts events that were given up, `failed_attempts` every attempt.
        """
        health = dict(known) if known else None
        for status, error in self._attempts:
            if status == "delivered":
                health = None
                continue
            now = iso(utc_now())
            health = health or {"consecutive_failures": 0, "failed_attempts": 0, "first_failure_at": now}
            health["consecutive_failures"] = health.get("consecutive_failures", 0) + (status == "failed")
            health["failed_attempts"] = health.get("failed_attempts", 0) + 1
            health["last_failure_at"] = now
            health["last_failure_cause"] = error
        return health

    def paused(self, health: Mapping[str, Any], after: int) -> dict[str, Any]:
        """Return the health of a webhook that is paused."""
        reason = f"{after} events in a row were given up; events wait until the webhook is made active again."
        return {**health, "paused_at": iso(utc_now()), "paused_reason": reason}

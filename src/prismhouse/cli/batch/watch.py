"""Follow a batch until it ends, also over a restart of its server."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from prismhouse.cli.batch.screen import Failure, Screen, make_screen
from prismhouse.cli.batch.server import Server, Unreachable

__all__ = ["watch"]

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 5.0
_FAILURES_SHOWN = 20


def watch(server: Server, batch_id: str, *, failures: bool = True) -> int:
    """Show what happens to a batch; return 0 when it is COMPLETED, 1 when it ended in any other way.

    Without `failures` the failed rows are only counted: the caller shows them itself.
    """
    batch = server.find_batch(batch_id)
    with make_screen(sys.stdout) as screen:
        try:
            return _follow(server, screen, batch, failures=failures)
        except KeyboardInterrupt:
            screen.note(f"The batch goes on. `prismhouse batch watch {batch_id}` shows it again.")
            raise


def _follow(server: Server, screen: Screen, batch: Mapping[str, Any], *, failures: bool) -> int:
    screen.begin(batch)
    failed = _Failures(server, batch) if failures else None
    last: str | None = None
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            for event in server.events(batch["batch_id"], last=last):
                last, pause = event.event_id, _FIRST_PAUSE_SECONDS
                if event.name == "tier":
                    screen.tier(event.data)
                if event.name == "progress":
                    screen.progress(event.data)
                if failed is not None and event.name in {"progress", "end"}:
                    failed.show(screen, event.data["rows_failed"])
                if event.name == "end":
                    screen.end(event.data)
                    return 0 if event.data["status"] == "COMPLETED" else 1
        except Unreachable as error:
            screen.waiting(error.message)
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


class _Failures:
    """The failed rows of a batch that were not shown yet."""

    def __init__(self, server: Server, batch: Mapping[str, Any]) -> None:
        self._server = server
        self._path = f"/v1/buckets/{batch['bucket_id']}/batches/{batch['batch_id']}/failed-documents"
        self._counted = 0
        self._shown = 0

    def show(self, screen: Screen, counted: int) -> None:
        """Show new ones as far as there is room; `counted` is how many rows have failed."""
        if counted <= self._counted:
            return
        if self._shown < _FAILURES_SHOWN:
            page = self._server.get(self._path, offset=self._shown, limit=_FAILURES_SHOWN - self._shown)
            for row in page["results"]:
                screen.failure(Failure.of(row))
            self._shown += len(page["results"])
            if self._shown >= _FAILURES_SHOWN < page["total"]:
                screen.note(f"More failures are not shown here: GET {self._path}")
        self._counted = counted

"""Batches that somebody watches: however many watch one, one look a moment is made at it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from dataclasses import replace

import structlog

from prismhouse.api.batches.model import TERMINAL
from prismhouse.api.batches.service.batches import BatchNotFound
from prismhouse.api.batches.service.moments import Moment, Seen, news
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.store import batches as store
from prismhouse.api.batches.store import chunks, ledger
from prismhouse.api.batches.store.standing import standing
from prismhouse.api.web.caller import Scope
from prismhouse.api.web.streams import HEARTBEAT_SECONDS, Events
from prismhouse.kit.errors import WarehouseError
from prismhouse.kit.ids import NamespaceId

__all__ = ["Watching"]

_PAUSE_SECONDS = 0.5
# A batch that does not move is asked for less and less often.
_SLOWER = 1.3
_SLOWEST = 4.0
_PAUSE_AFTER_FAULT_SECONDS = 2.0
_WINDOW_SECONDS = 20.0
_LEAST_SECONDS = 1.0
_log = structlog.get_logger(__name__)


class Watching:
    """What happens to batches, as events."""

    def __init__(self, parts: Parts, *, pause_seconds: float = _PAUSE_SECONDS) -> None:
        self._parts = parts
        self._pause_seconds = pause_seconds
        self._polls: dict[tuple[NamespaceId, str], _Poll] = {}

    @property
    def watched(self) -> int:
        """How many batches are looked at again and again."""
        return len(self._polls)

    async def find(self, scope: Scope, batch_id: str, *, bucket: str | None) -> Moment:
        """Return the batch as it is now; raise BatchNotFound."""
        if "\x00" in batch_id:
            raise BatchNotFound(batch_id=batch_id)
        async with self._parts.db.read() as unit:
            tx = unit.within(scope.namespace_id)
            bucket_id = (await self._parts.buckets.resolve(tx, bucket)).bucket_id if bucket is not None else None
            if await store.find(tx, batch_id, bucket_id=bucket_id) is None:
                raise BatchNotFound(batch_id=batch_id)
        moment = await self._look(scope.namespace_id, batch_id)
        if moment is None:
            raise BatchNotFound(batch_id=batch_id)
        return moment

    async def events(self, namespace_id: NamespaceId, first: Moment, *, seen: Seen) -> Events:
        """Yield what a reader who knows `seen` does not know, until the batch has ended or is gone."""
        batch_id = first.batch.batch_id
        poll = self._join(namespace_id, batch_id)
        moment: Moment | None = first
        number = 0
        try:
            while moment is not None:
                for event in news(moment, seen):
                    seen = Seen.of(event.event_id)
                    yield event
                if moment.batch.status in TERMINAL:
                    return
                while not await poll.changed(number, seconds=HEARTBEAT_SECONDS):
                    yield None
                number, newer = poll.number, poll.moment
                # The poll of others may have looked before this reader came.
                if newer is None or newer.looked_at > moment.looked_at:
                    moment = newer
        finally:
            self._leave(namespace_id, batch_id, poll)

    def _join(self, namespace_id: NamespaceId, batch_id: str) -> _Poll:
        poll = self._polls.get((namespace_id, batch_id))
        if poll is None:
            poll = self._polls[namespace_id, batch_id] = _Poll()
            poll.task = asyncio.create_task(self._poll(namespace_id, batch_id, poll))
        poll.readers += 1
        return poll

    def _leave(self, namespace_id: NamespaceId, batch_id: str, poll: _Poll) -> None:
        poll.readers -= 1
        if not poll.readers:
            if self._polls.get((namespace_id, batch_id)) is poll:
                del self._polls[namespace_id, batch_id]
            if poll.task is not None:
                poll.task.cancel()

    async def _poll(self, namespace_id: NamespaceId, batch_id: str, poll: _Poll) -> None:
        """Look again and again until the batch has ended or is gone; its readers learn what changed."""
        speeds = _Speeds()
        known: str | None = ""
        pause = self._pause_seconds
        while True:
            try:
                now = await self._standing(namespace_id, batch_id)
                pause = self._pause_seconds if now != known else min(pause * _SLOWER, self._pause_seconds * _SLOWEST)
                moment = await self._look(namespace_id, batch_id) if now != known else poll.moment
                known = now
            except WarehouseError as error:
                _log.warning("a watched batch could not be read", batch_id=batch_id, reason=error.message)
                await asyncio.sleep(_PAUSE_AFTER_FAULT_SECONDS)
                continue
            except Exception:  # noqa: BLE001 - recorded; the readers' streams end, and they come again
                _log.exception("a watched batch could not be read", batch_id=batch_id)
                moment = None
            if moment is not poll.moment or moment is None:
                poll.tell(speeds.measured(moment) if moment is not None else None)
            if moment is None or moment.batch.status in TERMINAL:
                # Whoever comes now starts a poll of his own: the batch may be retried.
                if self._polls.get((namespace_id, batch_id)) is poll:
                    del self._polls[namespace_id, batch_id]
                return
            await asyncio.sleep(pause)

    async def _standing(self, namespace_id: NamespaceId, batch_id: str) -> str | None:
        async with self._parts.db.read() as unit:
            return await standing(unit.within(namespace_id), batch_id)

    async def _look(self, namespace_id: NamespaceId, batch_id: str) -> Moment | None:
        looked_at = time.monotonic()
        async with self._parts.db.read() as unit:
            tx = unit.within(namespace_id)
            # The batch first: what is read after it is at least as new, so nothing of an ended batch is missing.
            batch = await store.find(tx, batch_id)
            if batch is None:
                return None
            tiers = (await chunks.tiers_of(tx, [batch_id])).get(batch_id, [])
            counts = (await ledger.counts_of(tx, [batch_id])).get(batch_id, [])
        return Moment(batch=batch, tiers=tiers, counts=counts, looked_at=looked_at)


class _Poll:
    """The newest look at one batch, and who waits for a newer one."""

    def __init__(self) -> None:
        self.moment: Moment | None = None
        self.number = 0
        self.readers = 0
        self.task: asyncio.Task[None] | None = None
        self._told = asyncio.Event()

    def tell(self, moment: Moment | None) -> None:
        """Wake everybody who waits, if there is something new."""
        if self.number and moment is not None and self.moment is not None and moment.seen == self.moment.seen:
            return
        self.moment = moment
        self.number += 1
        self._told.set()
        self._told = asyncio.Event()

    async def changed(self, number: int, *, seconds: float) -> bool:
        """Wait until there is a look after the `number`-th; False when there was none in time."""
        if self.number == number:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), seconds)
        return self.number != number


class _Speeds:
    """How fast a batch has been in the last seconds."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int, float]] = deque()

    def measured(self, moment: Moment) -> Moment:
        """Return the moment with its speed; without one as long as too little is known."""
        now = time.monotonic()
        self._looks.append((now, moment.done, moment.share))
        while now - self._looks[0][0] > _WINDOW_SECONDS:
            self._looks.popleft()
        began, done, share = self._looks[0]
        seconds = now - began
        if seconds < _LEAST_SECONDS or moment.done <= done:
            return moment
        gained = moment.share - share
        eta = (1 - moment.share) * seconds / gained if gained > 0 else None
        return replace(moment, speed=(moment.done - done) / seconds, eta_seconds=eta)

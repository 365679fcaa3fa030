"""The loop that sends: one per worker process, beside its jobs.

Everything it knows is in the database. It takes lanes for a time (a lease), sends the first event of each, notes what
came of it, and goes on in the lane or gives it back. A process that dies leaves leases that run out: its events are
sent again, by anybody. All statements are about many lanes at once; only the sending is done one by one.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress

import structlog

from prismhouse.api.webhooks.deliveries import store
from prismhouse.api.webhooks.deliveries.attempt import Outcome, attempt, pause_after
from prismhouse.api.webhooks.deliveries.health import Run
from prismhouse.api.webhooks.deliveries.store import Lane
from prismhouse.api.webhooks.deliveries.tally import tally
from prismhouse.api.webhooks.feed.service import Feed
from prismhouse.api.webhooks.service import Webhooks
from prismhouse.kit.errors import WarehouseError
from prismhouse.settings import WebhookSettings
from prismhouse.storage.outbound import Posted, Sender
from prismhouse.storage.postgres.database import Database, Record, Writer

__all__ = ["Deliverer"]

_POLL_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 5.0
# A lease outlives the longest answer by so much; past it, the lane is anybody's.
_MARGIN_SECONDS = 5.0
# A lane whose webhook stopped meanwhile; it is hastened when the webhook is active again.
_STOPPED_SECONDS = 30.0
_log = structlog.get_logger(__name__)

# So many events of a lane go out in a row; then lanes that wait have their turn.
_MOST_IN_A_ROW = 20

_Sending = dict[asyncio.Task[Outcome], tuple[Lane, Record, int]]
"""Each with its lane, its event, and the how manieth it is of its lane in a row."""


class Deliverer:
    """Places events in the feed and delivers them to webhooks, until it is told to stop."""

    def __init__(
        self, db: Database, *, feed: Feed, webhooks: Webhooks, sender: Sender, settings: WebhookSettings
    ) -> None:
        self._db = db
        self._feed = feed
        self._webhooks = webhooks
        self._sender = sender
        self._settings = settings

    async def run(self, stop: asyncio.Event, *, stop_timeout_seconds: float = 15) -> None:
        """Deliver until `stop` is set; what is being sent then gets so many seconds to be answered.

        A lost database ends one round, and the next begins when it answers again: this returns only on `stop`.
        """
        pause = 0.1
        while not stop.is_set():
            started = asyncio.get_running_loop().time()
            try:
                await self._round(stop, stop_timeout_seconds)
            except Exception:  # noqa: BLE001 - recorded, and tried again
                _log.exception("the round of deliveries ended, the next one begins", pause_seconds=pause)
            if asyncio.get_running_loop().time() - started > _LONGEST_PAUSE_SECONDS:
                pause = 0.1
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    async def _round(self, stop: asyncio.Event, stop_timeout_seconds: float) -> None:
        holder = secrets.token_hex(8)
        sending: _Sending = {}
        stopped = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                idle = await self._step(holder, sending)
                waited = {*sending, stopped}
                await asyncio.wait(waited, timeout=_POLL_SECONDS if idle else 0, return_when=asyncio.FIRST_COMPLETED)
            if sending:
                await asyncio.wait(sending, timeout=stop_timeout_seconds)
            await self._advance(holder, sending, go_on=False)
            async with self._db.write() as tx:
                await store.release_all(tx, holder=holder)
        finally:
            for task in (stopped, *sending):
                task.cancel()
            await asyncio.gather(stopped, *sending, return_exceptions=True)

    async def _step(self, holder: str, sending: _Sending) -> bool:
        """Note what was answered, place new events, and begin to send; return whether nothing else is to be done."""
        await self._advance(holder, sending)
        more = await self._feed.place()
        free = self._settings.concurrency - len(sending)
        claimed = await self._claim(holder, sending, free) if free else 0
        return not (more or (claimed and claimed == free) or any(task.done() for task in sending))

    async def _claim(self, holder: str, sending: _Sending, free: int) -> int:
        busy = Counter(lane[0] for lane, _, _ in sending.values())
        async with self._db.write() as tx:
            await store.relax(tx)
            lanes = await store.claim(
                tx,
                holder=holder,
                busy=busy,
                most_of_one=self._settings.concurrency_of_one,
                limit=free,
                margin_seconds=_MARGIN_SECONDS,
            )
            heads = await self._heads(tx, holder, lanes) if lanes else {}
        self._begin(sending, heads, {})
        return len(heads)

    async def _heads(self, tx: Writer, holder: str, lanes: Sequence[Lane]) -> dict[Lane, Record]:
        """Return what is next in held lanes; those with nothing left are removed."""
        heads = await store.heads(tx, lanes)
        ended = [lane for lane in lanes if lane not in heads]
        if ended:
            await store.close(tx, ended)
            await store.release(tx, dict.fromkeys(ended, _STOPPED_SECONDS), holder=holder)
        return heads

    def _begin(self, sending: _Sending, heads: Mapping[Lane, Record], turns: Mapping[Lane, int]) -> None:
        for lane, head in heads.items():
            sending[asyncio.create_task(self._send(lane, head))] = (lane, head, turns.get(lane, 0) + 1)

    async def _send(self, lane: Lane, head: Record) -> Outcome:
        try:
            channels = {one.number: one for one in self._webhooks.channels({**head, "webhook_id": lane[0]})}
            return await attempt(self._sender, head, channels.get(lane[1]))
        except WarehouseError as error:
            reason = error.message
        except Exception as error:  # noqa: BLE001 - recorded: one event that cannot be sent must not end the others
            _log.exception("a delivery could not be attempted", webhook_id=lane[0], event_id=head["event_id"])
            reason = f"it could not be attempted ({type(error).__name__}); the log of the worker says more"
        return Outcome(posted=Posted(status=None, error=reason, duration_ms=0))

    async def _advance(self, holder: str, sending: _Sending, *, go_on: bool = True) -> None:
        """Note the attempts that ended, and send the next event of their lanes."""
        ended = [(*sending.pop(task), task.result()) for task in list(sending) if task.done()]
        if not ended:
            return
        runs: dict[str, Run] = {}
        async with self._db.write() as tx:
            # What a crash of the database forgets of this is sent once more: nothing has to be on disk at once.
            await store.relax(tx)
            held = await store.hold(tx, [lane for lane, _, _, _ in ended], holder=holder)
            outcomes: list[tuple[int, str, int | None, str | None, float]] = []
            later: dict[Lane, float] = {}
            for lane, head, turn, outcome in ended:
                if not outcome.posted.is_success and lane not in held:
                    continue
                status, pause = self._judge(head["attempts"] + 1, outcome)
                outcomes.append(
                    (head["delivery"], status, outcome.posted.status, outcome.error, outcome.posted.duration_ms)
                )
                if pause is not None:
                    later[lane] = pause
                elif turn >= _MOST_IN_A_ROW and lane in held:
                    later[lane] = 0
                if (head["troubled"] or status != "delivered") and not outcome.removed:
                    runs.setdefault(lane[0], Run()).add(status, outcome.error)
            if outcomes:
                await store.record(tx, outcomes)
            if later:
                await store.release(tx, later, holder=holder)
            on = [lane for lane, _, _, _ in ended if lane in held and lane not in later]
            heads = await self._heads(tx, holder, on) if on and go_on else {}
            if heads:
                await store.extend(tx, list(heads), holder=holder, margin_seconds=_MARGIN_SECONDS)
        self._begin(sending, heads, {lane: turn for lane, _, turn, _ in ended})
        tally((status, duration_ms) for _, status, _, _, duration_ms in outcomes)
        for webhook_id, run in runs.items():
            await self._note(webhook_id, run)

    def _judge(self, attempts: int, outcome: Outcome) -> tuple[str, float | None]:
        if outcome.posted.is_success:
            return "delivered", None
        pause = pause_after(self._settings, attempts, outcome)
        return ("failed" if pause is None else "pending"), pause

    async def _note(self, webhook_id: str, run: Run) -> None:
        """Keep what a webhook's health comes to; a transaction of its own, since it locks the webhook, not a lane."""
        async with self._db.write() as tx:
            await store.relax(tx)
            row = await store.health(tx, webhook_id)
            if row is None:
                return
            known = run.after(row["delivery_health"])
            pause = bool(known and row["is_active"] and known["consecutive_failures"] >= self._settings.pause_after)
            if known and pause:
                known = run.paused(known, self._settings.pause_after)
                _log.warning("a webhook is paused after a run of failures", webhook_id=webhook_id)
            await store.set_health(tx, webhook_id, known, pause=pause)

"""What an administrator sees of deliveries, and what he can do about those that failed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import structlog

from prismhouse.api.audit.service import Audit
from prismhouse.api.web.caller import Caller
from prismhouse.api.webhooks.channels import number_of
from prismhouse.api.webhooks.deliveries import store
from prismhouse.api.webhooks.deliveries.attempt import attempt
from prismhouse.api.webhooks.errors import DeliveryNotFound, NotRedeliverable
from prismhouse.api.webhooks.model import delivery_id, delivery_of, resource_type_of
from prismhouse.api.webhooks.service import Webhooks
from prismhouse.kit.clock import iso, utc_now
from prismhouse.kit.cursors import BadCursor, decode_cursor, encode_cursor
from prismhouse.kit.ids import new_id
from prismhouse.settings import WebhookSettings
from prismhouse.storage.outbound import Sender
from prismhouse.storage.postgres.database import Database, Record

__all__ = ["Deliveries"]

_MARK = "deliveries"
_ROWS_AT_ONCE = 5_000
_log = structlog.get_logger(__name__)


class Deliveries:
    """The log of a webhook: what waits, what was delivered, what was given up."""

    def __init__(
        self, db: Database, *, webhooks: Webhooks, audit: Audit, sender: Sender, settings: WebhookSettings
    ) -> None:
        self._db = db
        self._webhooks = webhooks
        self._audit = audit
        self._sender = sender
        self._settings = settings

    async def page(
        self, caller: Caller, identifier: str, *, status: str | None, cursor: str | None, limit: int
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Return deliveries, newest first, and the cursor of the next page."""
        before = _number(cursor) if cursor else None
        async with self._db.read() as tx:
            webhook = await self._webhooks.find(tx, caller.organization_id, identifier)
            rows = await store.page(tx, webhook["webhook_id"], status=status, before=before, limit=limit + 1)
        more = encode_cursor([rows[limit - 1]["delivery"]], _MARK) if len(rows) > limit else None
        return [_shown(row, webhook) for row in rows[:limit]], more

    async def redeliver(self, caller: Caller, identifier: str, named: str) -> dict[str, Any]:
        """Have a delivery that ended sent again, with attempts as at first; raise NotRedeliverable."""
        number = delivery_of(named)
        async with self._db.write() as tx:
            webhook = await self._webhooks.find(tx, caller.organization_id, identifier, lock="FOR KEY SHARE")
            row = None if number is None else await store.find(tx, webhook["webhook_id"], number)
            if row is None or number is None:
                raise DeliveryNotFound(id=named, resource="delivery")
            if row["event_id"] is None or not await store.reopen(tx, webhook["webhook_id"], number):
                raise NotRedeliverable(id=named)
            await self._audit.record(
                tx,
                caller,
                action="webhook_updated",
                resource_type="webhook",
                resource_id=webhook["webhook_id"],
                changes={"redelivered": named},
            )
            again = await store.find(tx, webhook["webhook_id"], number)
        return _shown(again or row, webhook)

    async def test(self, caller: Caller, identifier: str) -> dict[str, Any]:
        """Send a `webhook.test` to each channel, once and now, and return what came of it."""
        async with self._db.read() as tx:
            webhook = await self._webhooks.find(tx, caller.organization_id, identifier)
        event = {
            "event_id": new_id("evt", 12),
            "event_type": "webhook.test",
            "occurred_at": utc_now(),
            "namespace_id": None,
            "resource_id": webhook["webhook_id"],
            "payload": {"webhook_id": webhook["webhook_id"], "webhook_name": webhook["webhook_name"]},
        }
        channels = self._webhooks.channels(webhook)
        outcomes = await asyncio.gather(*(attempt(self._sender, event, channel) for channel in channels))
        results = [
            {
                "url": channel.url,
                "success": outcome.posted.is_success,
                "status_code": outcome.posted.status,
                "error": outcome.error,
                "duration_ms": round(outcome.posted.duration_ms, 1),
            }
            for channel, outcome in zip(channels, outcomes, strict=True)
        ]
        success = all(one["success"] for one in results)
        return {"success": success, "event_id": event["event_id"], "results": results}

    async def forget(self) -> int:
        """Delete deliveries that ended long ago; return how many."""
        log, retention = timedelta(days=self._settings.log_days), timedelta(days=self._settings.retention_days)
        total, gone = 0, _ROWS_AT_ONCE
        while gone == _ROWS_AT_ONCE:
            async with self._db.write() as tx:
                gone = await store.forget(tx, log=log, retention=retention, limit=_ROWS_AT_ONCE)
            total += gone
        if total:
            _log.info("deliveries that ended long ago were forgotten", deliveries=total)
        return total


def _shown(row: Record, webhook: Mapping[str, Any]) -> dict[str, Any]:
    urls = {number_of(one, place): one["configs"]["url"] for place, one in enumerate(webhook["channels"])}
    kind = row["event_type"]
    return {
        "delivery_id": delivery_id(row["delivery"]),
        "webhook_id": webhook["webhook_id"],
        "url": urls.get(row["channel"]),
        "event_id": row["event_id"],
        "event_type": kind,
        "seq": row["position"],
        "namespace_id": row["namespace_id"],
        "resource_type": kind and resource_type_of(kind),
        "resource_id": row["resource_id"],
        "status": row["status"],
        "attempts": row["attempts"],
        "last_attempt_at": iso(row["last_attempt_at"]),
        "last_status_code": row["last_status_code"],
        "last_error": row["last_error"],
        "last_duration_ms": row["last_duration_ms"] and round(row["last_duration_ms"], 1),
        "next_attempt_at": None if row["held"] else iso(row["next_attempt_at"]),
        "created_at": iso(row["created_at"]),
        "completed_at": iso(row["completed_at"]),
    }


def _number(cursor: str) -> int:
    [number] = decode_cursor(cursor, length=1, fingerprint=_MARK)
    if type(number) is not int or not 0 <= number < 2**63:
        raise BadCursor
    return number

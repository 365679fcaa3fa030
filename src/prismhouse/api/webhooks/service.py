"""What an administrator does with webhooks. Delivering is deliveries/deliverer.py's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg.errors import UniqueViolation

from prismhouse.api.audit.model import changed
from prismhouse.api.audit.service import Audit
from prismhouse.api.web.caller import Caller
from prismhouse.api.web.paging import Page
from prismhouse.api.webhooks import store
from prismhouse.api.webhooks.channels import KeptChannel, answered, kept_of, number_of, opened, sealed, shown
from prismhouse.api.webhooks.deliveries import store as deliveries
from prismhouse.api.webhooks.errors import TooManyWebhooks, WebhookNameTaken, WebhookNotFound
from prismhouse.api.webhooks.schemas import Channel, ListWebhooks, UpdateWebhook, Webhook
from prismhouse.kit.clock import iso
from prismhouse.kit.cursors import BadCursor, decode_cursor, encode_cursor
from prismhouse.kit.errors import FieldFault, Invalid, field_fault
from prismhouse.kit.ids import new_id
from prismhouse.storage.outbound import Sender
from prismhouse.storage.postgres.database import Database, Reader, Record
from prismhouse.storage.sealing import Sealer

__all__ = ["Webhooks"]

_MOST_WEBHOOKS = 100
_MARK = "webhooks"
_AUDITED = ("webhook_name", "event_types", "resource_types", "channels", "is_active")


class Webhooks:
    """Create, find, change and delete webhooks of an organization; secrets go in and never come out."""

    def __init__(self, db: Database, *, audit: Audit, sealer: Sealer, sender: Sender) -> None:
        self._db = db
        self._audit = audit
        self._sealer = sealer
        self._sender = sender

    async def create(self, caller: Caller, request: Webhook) -> dict[str, Any]:
        """Store a webhook, which hears of what begins from now on."""
        self._check(request.channels)
        webhook_id = new_id("wh")
        values = {
            "webhook_id": webhook_id,
            "organization_id": caller.organization_id,
            "webhook_name": request.webhook_name,
            "event_types": request.event_types,
            "resource_types": request.resource_types or None,
            "is_active": request.is_active,
            **self._stored(webhook_id, kept_of(request.channels)),
        }
        async with self._db.write() as tx:
            if await store.count_webhooks(tx, caller.organization_id) >= _MOST_WEBHOOKS:
                raise TooManyWebhooks(limit=_MOST_WEBHOOKS)
            row = await store.insert_webhook(tx, values)
            if row is None:
                raise WebhookNameTaken(webhook_name=request.webhook_name)
            await self._audit.record(
                tx,
                caller,
                action="webhook_created",
                resource_type="webhook",
                resource_id=webhook_id,
                changes={name: row[name] for name in _AUDITED},
            )
        return _answer(row)

    async def read(self, caller: Caller, identifier: str) -> dict[str, Any]:
        """Return a webhook as it is answered; raise WebhookNotFound."""
        async with self._db.read() as tx:
            return _answer(await self.find(tx, caller.organization_id, identifier))

    async def find(self, tx: Reader, organization_id: str, identifier: str, *, lock: str = "") -> Record:
        """Return the row of a webhook by id or name; raise WebhookNotFound."""
        row = await store.find_webhook(tx, organization_id, identifier, lock=lock)
        if row is None:
            raise WebhookNotFound(id=identifier, resource="webhook")
        return row

    def channels(self, row: Record) -> list[KeptChannel]:
        """Return the channels of a row with their secrets; raise SecretUnreadable."""
        return opened(row["channels"], row["secrets"], self._sealer, row["webhook_id"])

    async def list_webhooks(
        self, caller: Caller, request: ListWebhooks, page: Page
    ) -> tuple[list[dict[str, Any]], int, str | None]:
        """Return webhooks, newest first, how many match, and the cursor of the next page."""
        async with self._db.read() as tx:
            rows, total = await store.page_of_webhooks(
                tx,
                caller.organization_id,
                event_type=request.event_type,
                is_active=request.is_active,
                after=_after(page.cursor) if page.cursor else None,
                limit=page.limit + 1,
                offset=0 if page.cursor else page.offset,
            )
        shown_rows = rows[: page.limit]
        more = None
        if len(rows) > page.limit:
            more = encode_cursor([iso(shown_rows[-1]["created_at"]), shown_rows[-1]["webhook_id"]], _MARK)
        return [_answer(row) for row in shown_rows], total, more

    async def update(self, caller: Caller, identifier: str, request: UpdateWebhook) -> dict[str, Any]:
        """Change what is given. `is_active: true` also ends a pause, and what waits goes out at once."""
        given = request.model_fields_set
        self._check(request.channels or ())
        async with self._db.write() as tx:
            row = await self.find(tx, caller.organization_id, identifier, lock="FOR NO KEY UPDATE")
            active = row["is_active"] if request.is_active is None else request.is_active
            cleared = request.is_active is not None
            values = {
                "webhook_name": request.webhook_name or row["webhook_name"],
                "event_types": request.event_types or row["event_types"],
                "resource_types": (request.resource_types or None)
                if "resource_types" in given
                else row["resource_types"],
                "channels": row["channels"],
                "secrets": row["secrets"],
                "timeout_seconds": row["timeout_seconds"],
                "is_active": active,
                "paused_at": None if cleared else row["paused_at"],
                "delivery_health": None if cleared and active else row["delivery_health"],
            }
            if request.channels is not None:
                # A webhook whose secrets can be read no more gets new ones.
                before = self._channels_before(row, request.channels)
                unused = await store.unused_channel(tx, row["webhook_id"], [one.number for one in before])
                values |= self._stored(row["webhook_id"], kept_of(request.channels, before, unused=unused))
            try:
                after = await store.update_webhook(tx, row["webhook_id"], values) or row
            except UniqueViolation as error:
                raise WebhookNameTaken(webhook_name=values["webhook_name"]) from error
            differences = changed(row, {name: after[name] for name in _AUDITED})
            if request.channels is not None and after["secrets"] != row["secrets"]:
                differences.setdefault("channels", {"secrets": "sent"})
            await self._audit.record(
                tx,
                caller,
                action="webhook_updated",
                resource_type="webhook",
                resource_id=row["webhook_id"],
                changes=differences,
            )
        if active and request.is_active:
            # After the row's lock is gone: deliveries take the lane first, and the webhook second.
            async with self._db.write() as tx:
                await deliveries.hasten(tx, row["webhook_id"])
        return _answer(after)

    async def delete(self, caller: Caller, identifier: str) -> None:
        """Delete a webhook with what waits for it; nothing where there is none."""
        async with self._db.write() as tx:
            row = await store.find_webhook(tx, caller.organization_id, identifier, lock="FOR UPDATE")
            if row is None:
                return
            await deliveries.lock_lanes(tx, row["webhook_id"])
            await store.delete_webhook(tx, row["webhook_id"])
            await self._audit.record(
                tx,
                caller,
                action="webhook_deleted",
                resource_type="webhook",
                resource_id=row["webhook_id"],
                changes={"webhook_name": row["webhook_name"]},
            )

    def _check(self, channels: Sequence[Channel]) -> None:
        faults: list[FieldFault] = []
        for number, channel in enumerate(channels):
            reason = self._sender.refusal(channel.configs.url)
            if reason:
                faults.append(field_fault(["body", "channels", number, "configs", "url"], f"is refused: {reason}"))
        if faults:
            raise Invalid(faults)

    def _channels_before(self, row: Record, asked: Sequence[Channel]) -> list[KeptChannel]:
        """Return the channels of a row; without secrets where none is to stay, since they may be readable no more."""
        if _keeps_secrets(asked):
            return self.channels(row)
        return [
            KeptChannel(number=number_of(one, place), url=one["configs"]["url"])
            for place, one in enumerate(row["channels"])
        ]

    def _stored(self, webhook_id: str, channels: Sequence[KeptChannel]) -> dict[str, Any]:
        return {
            "channels": [shown(one) for one in channels],
            "secrets": sealed(channels, self._sealer, webhook_id),
            "timeout_seconds": max(one.timeout_seconds for one in channels),
        }


def _keeps_secrets(channels: Sequence[Channel]) -> bool:
    """Say whether what was stored before is needed: not where every secret is sent, or taken away."""
    return any(
        one.configs.signing_secret in (None, "redacted") or "redacted" in (one.configs.headers or {}).values()
        for one in channels
    )


def _answer(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "webhook_id": row["webhook_id"],
        "webhook_name": row["webhook_name"],
        "event_types": row["event_types"],
        "resource_types": row["resource_types"],
        "channels": [answered(one) for one in row["channels"]],
        "is_active": row["is_active"],
        "delivery_health": row["delivery_health"],
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
    }


def _after(cursor: str) -> tuple[str, str]:
    moment, webhook_id = decode_cursor(cursor, length=2, fingerprint=_MARK)
    try:
        datetime.fromisoformat(moment)
    except (TypeError, ValueError) as error:
        raise BadCursor from error
    if not isinstance(webhook_id, str) or "\x00" in webhook_id:
        raise BadCursor
    return moment, webhook_id

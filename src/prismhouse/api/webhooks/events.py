"""Events: one row in the transaction of the change, so that a change and its event happen together or not at all."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from prismhouse.api.webhooks import store
from prismhouse.kit import json
from prismhouse.kit.ids import NamespaceId, OrganizationId, new_id
from prismhouse.storage.postgres.database import Writer

__all__ = ["Events"]

_ID_BYTES = 12


class Events:
    """Writes events; delivery reads them in the order of their commit."""

    async def emit(
        self,
        tx: Writer,
        *,
        organization_id: OrganizationId | str,
        namespace_id: NamespaceId | str | None,
        event_type: str,
        resource_id: str,
        payload: Mapping[str, Any],
    ) -> str:
        """Write one event in the caller's transaction and return its id."""
        event_id = new_id("evt", _ID_BYTES)
        values = {
            "event_id": event_id,
            "organization_id": organization_id,
            "namespace_id": namespace_id,
            "event_type": event_type,
            "resource_id": resource_id,
            "payload": payload,
        }
        await store.insert_event(tx, values)
        return event_id

    async def emit_many(
        self,
        tx: Writer,
        *,
        organization_id: OrganizationId | str,
        namespace_id: NamespaceId | str | None,
        events: Sequence[tuple[str, str, Mapping[str, Any]]],
    ) -> None:
        """Write events, each as (type, resource id, payload), in their order and in one statement; none for none."""
        if not events:
            return
        digits = secrets.token_hex(_ID_BYTES * len(events))
        await store.insert_events(
            tx,
            {"organization_id": organization_id, "namespace_id": namespace_id},
            event_ids=[f"evt_{digits[at : at + 2 * _ID_BYTES]}" for at in range(0, len(digits), 2 * _ID_BYTES)],
            event_types=[event_type for event_type, _, _ in events],
            resource_ids=[resource_id for _, resource_id, _ in events],
            payloads=[json.dumps(payload).decode() for _, _, payload in events],
        )

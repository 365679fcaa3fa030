"""Events: one row in the transaction of the change, so that a change and its event happen together or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prismhouse.api.webhooks import store
from prismhouse.kit.ids import NamespaceId, OrganizationId, new_id
from prismhouse.storage.postgres.database import Writer

__all__ = ["Events"]


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
        event_id = new_id("evt", 12)
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

"""What annotations need of other nouns; given at wiring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from prismhouse.api.web.caller import Actor
from prismhouse.kit.ids import NamespaceId, OrganizationId
from prismhouse.storage.postgres.database import NamespaceReader, Writer

__all__ = ["Action", "AuditLog", "DocumentsOf", "EventLog", "Told"]

Action = Literal["annotation_created", "annotation_updated", "annotation_deleted"]
Told = tuple[str, str, Mapping[str, Any]]
"""Type, resource id and payload of an event."""


class EventLog(Protocol):
    """What annotations need of `Events`."""

    async def emit_many(
        self,
        tx: Writer,
        *,
        organization_id: OrganizationId,
        namespace_id: NamespaceId | None,
        events: Sequence[Told],
    ) -> None:
        """Write events, in their order, in the caller's transaction."""
        ...


class AuditLog(Protocol):
    """What annotations need of `Audit`."""

    async def record_many(
        self,
        tx: Writer,
        actor: Actor,
        *,
        organization_id: str,
        namespace_id: str | None,
        action: Action,
        resource_type: Literal["annotation"],
        entries: Sequence[tuple[str, Mapping[str, Any] | None]],
    ) -> None:
        """Write one row per entry (resource id, changes) in the caller's transaction."""
        ...


class DocumentsOf(Protocol):
    """What annotations need of `Documents`."""

    async def collections_of(
        self, tx: NamespaceReader, document_ids: Sequence[str], *, principal: str | None
    ) -> Mapping[str, str]:
        """Return the collection of each document that is there and that `principal` may read; None reads everything."""
        ...

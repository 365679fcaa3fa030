"""What objects need of nouns above and beside them; given at wiring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from prismhouse.api.web.caller import Scope
from prismhouse.kit.ids import BucketId, NamespaceId, ObjectId, OrganizationId
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter, Writer

__all__ = ["AutoProcess", "Derived", "EventLog"]


class EventLog(Protocol):
    """What objects need of `Events`."""

    async def emit(
        self,
        tx: Writer,
        *,
        organization_id: OrganizationId,
        namespace_id: NamespaceId | None,
        event_type: str,
        resource_id: str,
        payload: Mapping[str, Any],
    ) -> Any: ...


class Derived(Protocol):
    """The documents that extraction made of objects."""

    async def counts_of_objects(self, tx: NamespaceReader, object_ids: Sequence[str]) -> Mapping[str, int]:
        """Return the number of documents per object, in all collections; objects without any are absent."""
        ...

    async def delete_all_of_objects(self, tx: NamespaceWriter, object_ids: Sequence[str]) -> int:
        """Delete the documents made of the objects in all collections; return how many collections lost one."""
        ...


class AutoProcess(Protocol):
    """Makes and submits a batch of new objects."""

    async def submit(
        self, tx: NamespaceWriter, scope: Scope, bucket_id: BucketId, object_ids: Sequence[ObjectId]
    ) -> tuple[str, str]:
        """Do both in the transaction that stores the objects; return batch id and task id."""
        ...

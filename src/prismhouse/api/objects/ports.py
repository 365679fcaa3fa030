"""What objects need of nouns above and beside them; given at wiring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from prismhouse.api.buckets.service import BucketRow
from prismhouse.api.web.caller import Scope
from prismhouse.kit.errors import WarehouseError
from prismhouse.kit.ids import BucketId, NamespaceId, ObjectId, OrganizationId
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter, Writer

__all__ = ["AutoProcess", "Derived", "EventLog", "UploadedFile", "Uploads"]


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

    async def emit_many(
        self,
        tx: Writer,
        *,
        organization_id: OrganizationId,
        namespace_id: NamespaceId | None,
        events: Sequence[tuple[str, str, Mapping[str, Any]]],
    ) -> None: ...


class Derived(Protocol):
    """The documents that extraction made of objects."""

    async def counts_of_objects(self, tx: NamespaceReader, object_ids: Sequence[str]) -> Mapping[str, int]:
        """Return the number of documents per object, in all collections; objects without any are absent."""
        ...

    async def delete_all_of_objects(
        self, tx: NamespaceWriter, object_ids: Sequence[str]
    ) -> Mapping[str, Sequence[str]]:
        """Delete the documents made of the objects in all collections; return what went, by collection."""
        ...


class AutoProcess(Protocol):
    """Makes and submits a batch of new objects."""

    async def submit(
        self, tx: NamespaceWriter, scope: Scope, bucket_id: BucketId, object_ids: Sequence[ObjectId]
    ) -> tuple[str, str]:
        """Do both in the transaction that stores the objects; return batch id and task id."""
        ...

    async def submit_or_keep(
        self, tx: NamespaceWriter, scope: Scope, bucket_id: BucketId, object_ids: Sequence[ObjectId]
    ) -> tuple[str, str | None, WarehouseError | None]:
        """Do the same; where the submission is refused, return the batch, still a draft, and why."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedFile:
    """The file of a confirmed upload, in the blob store under `sha256`."""

    sha256: str
    md5: str
    size_bytes: int
    content_type: str
    filename: str


class Uploads(Protocol):
    """Files that clients put into storage themselves. A confirmed upload keeps its bytes while it names them."""

    async def files(
        self, scope: Scope, bucket: BucketRow, upload_ids: Sequence[str]
    ) -> Mapping[str, UploadedFile | WarehouseError]:
        """Return the file of each upload, confirming those that were put and not confirmed; or why there is none."""
        ...

    async def hold(self, tx: NamespaceWriter, upload_ids: Sequence[str]) -> Mapping[str, str]:
        """Return upload id -> sha256 of those that have their bytes, and keep that so until `tx` ends."""
        ...

    async def assign(self, tx: NamespaceWriter, objects: Mapping[str, ObjectId]) -> None:
        """Note the object (by upload id) of uploads that have none yet."""
        ...

    async def release(self, tx: NamespaceWriter, object_ids: Sequence[str]) -> None:
        """Let uploads forget the bytes that their objects have no longer, and objects that are gone."""
        ...

    async def kept(self, tx: NamespaceReader, hashes: Sequence[str]) -> set[str]:
        """Return which of the bytes an upload names."""
        ...

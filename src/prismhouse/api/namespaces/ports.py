"""What namespaces need from above and beside them; wiring hands the implementations in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from prismhouse.engine.extractors.custom import Broken
from prismhouse.engine.extractors.port import ExtractorRecord
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter, Writer

__all__ = ["EventLog", "ExtractorCatalogue", "IndexRegistry", "Receipts", "Tenant"]


class ExtractorCatalogue(Protocol):
    """The extractors that this installation can run."""

    def get(self, name: str, version: str) -> ExtractorRecord:
        """Return the record; raise an error of code `feature_extractor_not_found` with close matches."""
        ...

    def all(self) -> Sequence[ExtractorRecord]:
        """Return every record."""
        ...

    def broken(self) -> Sequence[Broken]:
        """Return the extractors of other packages that cannot be used."""
        ...

    def describe(self, record: ExtractorRecord) -> Mapping[str, Any]:
        """Return the record as the API shows it."""
        ...

    def validate_parameters(self, record: ExtractorRecord, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the parameters with defaults; raise Invalid for an unknown key or a bad value."""
        ...


class Receipts(Protocol):
    """The part of `tasks` that a namespace's deletion writes."""

    async def create(
        self,
        tx: Writer,
        *,
        organization_id: str,
        namespace_id: str | None,
        task_type: str,
        inputs: Sequence[Any],
        additional_data: Mapping[str, Any],
        description: str | None = None,
        status: str = "PENDING",
        task_id: str | None = None,
    ) -> str:
        """Write the receipt of work that starts when the transaction commits; return its id."""
        ...

    async def update(
        self,
        tx: Writer,
        task_id: str,
        *,
        status: str | None = None,
        outputs: Sequence[Any] | None = None,
        additional_data: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> None:
        """Note how the work goes."""
        ...


class EventLog(Protocol):
    """The part of `webhooks` that tells of an end that is near."""

    async def emit(
        self,
        tx: Writer,
        *,
        organization_id: str,
        namespace_id: str | None,
        event_type: str,
        resource_id: str,
        payload: Mapping[str, Any],
    ) -> str:
        """Write one event in the caller's transaction."""
        ...


class IndexRegistry(Protocol):
    """What builds the indexes that a namespace declares on the fields of its documents."""

    async def declare(self, tx: NamespaceWriter, indexes: Sequence[Mapping[str, Any]]) -> None:
        """Make these the declared ones, in the caller's transaction."""
        ...


class Tenant(Protocol):
    """Something that works inside a namespace and must stop before the namespace goes: batches."""

    async def active(self, tx: NamespaceReader) -> Sequence[str]:
        """Return the ids of running work."""
        ...

    async def stop(self, tx: NamespaceWriter) -> None:
        """Cancel running work, in the transaction that hides the namespace."""
        ...

"""Models that are there: found, handed out, let into namespaces and taken from them, deleted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from prismhouse.api.archives.service import Archives
from prismhouse.api.models import store, wire
from prismhouse.api.models.errors import (
    ModelEnabled,
    ModelInUse,
    ModelNotExportable,
    ModelNotFound,
    ModelOfOrganization,
)
from prismhouse.api.models.schemas import Resources
from prismhouse.api.models.service.bring import CONTENT_TYPE
from prismhouse.api.web.caller import Caller, NamespaceCaller
from prismhouse.api.web.links import DOWNLOAD_SECONDS
from prismhouse.storage.postgres.database import Database, NamespaceReader, NamespaceWriter, Record

__all__ = ["Keeping", "Users"]

Users = Callable[[NamespaceReader, str], Awaitable[Sequence[str]]]
"""Returns the names of what uses a model in a namespace."""


class Keeping:
    """Models of an organization and of its namespaces. `in_use` is asked before one goes."""

    def __init__(self, db: Database, *, archives: Archives) -> None:
        self._db = db
        self._archives = archives
        self._in_use: Users | None = None

    def guard(self, in_use: Users) -> None:
        """Refuse to take a model from a namespace while `in_use` names anything; set at wiring."""
        self._in_use = in_use

    async def list(self, caller: Caller) -> list[dict[str, Any]]:
        """Return the organization's models."""
        async with self._db.read() as tx:
            rows = await store.list_all(tx, caller.organization_id)
        return [wire.organization_item(row) for row in rows]

    async def read(self, caller: Caller, model_id: str) -> dict[str, Any]:
        """Return one of them; raise ModelNotFound."""
        row = await self._found(caller, model_id)
        return wire.organization_detail(row, archive_url=self._link(row))

    async def _found(self, caller: Caller, model_id: str) -> Record:
        async with self._db.read() as tx:
            row = await store.find(tx, caller.organization_id, model_id)
        if row is None:
            raise ModelNotFound(model_id)
        return row

    async def download(self, caller: Caller, model_id: str) -> dict[str, Any]:
        """Return a link to the archive; raise ModelNotFound, ModelNotExportable."""
        row = await self._found(caller, model_id)
        if row["source"] != "customer":
            raise ModelNotExportable(model_id=model_id, exported_source=row["source"])
        return {
            "success": True,
            "model_id": model_id,
            "download_url": self._link(row),
            "expires_in": DOWNLOAD_SECONDS,
            "filename": _filename(row),
            "size_bytes": row["size_bytes"],
            "model_hash": row["sha256"],
        }

    async def delete(self, caller: Caller, model_id: str) -> None:
        """Delete a model of the organization; raise ModelEnabled while a namespace may use it."""
        async with self._db.write() as tx:
            if await store.lock(tx, caller.organization_id, model_id) is None:
                raise ModelNotFound(model_id)
            if enabled := await store.enabled_in(tx, model_id):
                raise ModelEnabled(model_id=model_id, namespaces=", ".join(enabled))
            await store.delete(tx, model_id)

    async def list_in(self, caller: NamespaceCaller) -> Sequence[dict[str, Any]]:
        """Return the models that a namespace has or may use."""
        async with self._db.read() as tx:
            rows = await store.list_in_namespace(tx.within(caller.namespace_id))
        return [wire.namespace_item(row) for row in rows]

    async def read_in(self, caller: NamespaceCaller, model_id: str) -> dict[str, Any]:
        """Return one of them; raise ModelNotFound."""
        async with self._db.read() as tx:
            row = await store.find_in_namespace(tx.within(caller.namespace_id), model_id)
        if row is None:
            raise ModelNotFound(model_id)
        return wire.namespace_detail(row, namespace_id=caller.namespace_id, archive_url=self._link(row))

    async def delete_in(self, caller: NamespaceCaller, model_id: str) -> None:
        """Delete a model of the namespace's own; raise ModelOfOrganization, ModelInUse."""
        async with self._db.write() as tx:
            row = await self._free(tx.within(caller.namespace_id), model_id)
            if row["owner_namespace_id"] is None:
                raise ModelOfOrganization(model_id=model_id)
            await store.delete(tx, model_id)

    async def available(self, caller: NamespaceCaller) -> Sequence[dict[str, Any]]:
        """Return the organization's models, and whether the namespace may use each."""
        async with self._db.read() as tx:
            rows = await store.available(tx.within(caller.namespace_id), caller.caller.organization_id)
        return [wire.available_item(row) for row in rows]

    async def enable(self, caller: NamespaceCaller, model_id: str, overrides: Resources | None) -> None:
        """Let the namespace use a model of its organization; doing so again is no error."""
        async with self._db.write() as tx:
            if not await store.keep(tx, caller.caller.organization_id, model_id):
                raise ModelNotFound(model_id)
            await store.enable(
                tx.within(caller.namespace_id), model_id, None if overrides is None else overrides.model_dump()
            )

    async def disable(self, caller: NamespaceCaller, model_id: str) -> None:
        """Take a model of the organization from the namespace; raise ModelInUse while a collection needs it."""
        async with self._db.write() as tx:
            scoped = tx.within(caller.namespace_id)
            row = await self._free(scoped, model_id)
            if row["owner_namespace_id"] is not None:
                raise ModelNotFound(model_id)
            await store.disable(scoped, model_id)

    async def _free(self, tx: NamespaceWriter, model_id: str) -> Record:
        """Return a model that nothing uses or begins to use until `tx` ends."""
        row = await store.lock_in_namespace(tx, model_id)
        if row is None:
            raise ModelNotFound(model_id)
        users = [] if self._in_use is None else await self._in_use(tx, model_id)
        if users:
            raise ModelInUse(model_id=model_id, collections=", ".join(users))
        return row

    def _link(self, row: Mapping[str, Any]) -> str:
        if row["source"] != "customer":
            return f"sha256:{row['sha256']}"
        return self._archives.download_url(
            row["organization_id"], row, filename=_filename(row), content_type=CONTENT_TYPE
        )


def _filename(row: Mapping[str, Any]) -> str:
    return f"{row['name']}-{row['version']}.tar.gz"

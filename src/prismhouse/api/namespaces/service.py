"""What a user can do with namespaces, except deletion (deletion.py) and entering one (authentication.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prismhouse.api.audit.model import changed
from prismhouse.api.audit.service import Audit
from prismhouse.api.namespaces import store
from prismhouse.api.namespaces.authentication import KeyAuthenticator
from prismhouse.api.namespaces.errors import (
    NamespaceIdTaken,
    NamespaceNameTaken,
    NamespaceOutsideScopes,
    RepairUnbuilt,
    SystemScopeForbidden,
)
from prismhouse.api.namespaces.expiry import Expiry
from prismhouse.api.namespaces.extractors import broken_extractor, extractor
from prismhouse.api.namespaces.model import VectorSpace, declared_vectors, expiry_of, merged_indexes
from prismhouse.api.namespaces.ports import ExtractorCatalogue, IndexRegistry
from prismhouse.api.namespaces.schemas import (
    CreateNamespace,
    ExtractorReference,
    PatchNamespace,
    PayloadIndex,
    PutNamespace,
)
from prismhouse.api.organizations.service import Organizations
from prismhouse.api.web.caller import Caller, NamespaceCaller, NamespaceNotFound, Permission
from prismhouse.engine.extractors.custom import ExtractorBroken
from prismhouse.engine.extractors.port import ExtractorRecord
from prismhouse.kit.clock import utc_now
from prismhouse.kit.errors import Invalid, field_fault
from prismhouse.kit.ids import NamespaceId, new_id
from prismhouse.storage.postgres.database import Database, NamespaceReader, NamespaceWriter, Record, Writer

__all__ = ["Counts", "Namespaces"]

Counts = Mapping[str, Any]
# Past these bounds a count is "at least": null on the record, `document_count_complete` false on stats.
ONE_COUNT_BOUND = 500_000
LIST_COUNT_BOUND = 20_000
_CONFIG_KEYS = (
    "auto_create_indexes",
    "adaptive_indexing",
    "infrastructure",
    "trusted_issuers",
    "tiering",
    "spend_budget",
    "cost_cap_override",
)


class Namespaces:
    """Namespaces of the caller's organization; also the web layer's `Authenticator`."""

    def __init__(
        self,
        db: Database,
        *,
        organizations: Organizations,
        catalogue: ExtractorCatalogue,
        expiry: Expiry | None = None,
        audit: Audit | None = None,
        indexes: IndexRegistry | None = None,
    ) -> None:
        self._db = db
        self._audit = audit or Audit(db)
        self._indexes = indexes
        self._catalogue = catalogue
        self._expiry = expiry
        self._authenticator = KeyAuthenticator(db, organizations)

    async def authenticate(self, key: str, *, origin: str | None) -> Caller:
        """Return the caller of a live key; raise Unauthorized."""
        return await self._authenticator.authenticate(key, origin=origin)

    async def enter(self, key: str, namespace: str | None, *, origin: str | None) -> NamespaceCaller:
        """Return the caller in the namespace named by id or name (None: the only one)."""
        return await self._authenticator.enter(key, namespace, origin=origin)

    async def settle(self) -> None:
        """Finish what runs beside requests; call before the database closes."""
        await self._authenticator.settle()

    async def create(self, caller: Caller, body: CreateNamespace) -> Record:
        """Make a namespace; raise NamespaceNameTaken, NamespaceIdTaken, or the catalogue's ExtractorNotFound.

        With vectors of one's own (mode standalone) it has no extractors until it is promoted.
        """
        if body.scope == "system":
            raise SystemScopeForbidden
        own = body.mode == "standalone"
        if body.vector_configs and not own:
            text = "are of mode standalone; a managed namespace takes its vectors from its extractors"
            raise Invalid([field_fault(["body", "vector_configs"], text)])
        namespace_id = NamespaceId(body.namespace_id or new_id("ns"))
        config = body.model_dump(mode="json", include=set(_CONFIG_KEYS), exclude_none=True)
        if own:
            config |= {
                "infer_vectors": not body.vector_configs,
                "auto_create_indexes": body.auto_create_indexes is not False,
            }
        values = {
            "namespace_id": namespace_id,
            "organization_id": caller.organization_id,
            "namespace_name": body.namespace_name,
            "description": body.description,
            "mode": body.mode,
            "namespace_type": body.namespace_type or "standard",
            "feature_extractors": [] if own else self._wanted_extractors(body),
            "payload_indexes": merged_indexes(_dumped(body.payload_indexes)),
            "vector_configs": declared_vectors(body.vector_configs or ()) if own else None,
            "config": config,
            "expires_at": expiry_of(ttl_seconds=body.ttl_seconds, expires_at=None, now=utc_now()),
        }
        return await self._insert(caller, values)

    async def _insert(self, caller: Caller, values: Mapping[str, Any]) -> Record:
        namespace_id, name = values["namespace_id"], values["namespace_name"]
        if not caller.opens(namespace_id):
            raise NamespaceOutsideScopes(scopes=", ".join(caller.namespaces or ()))
        caller.inside(namespace_id).require("write")
        async with self._db.write() as tx:
            row = await store.insert(tx, values)
            if row is None:
                if await store.name_taken(tx, caller.organization_id, name):
                    raise NamespaceNameTaken(namespace_name=name)
                raise NamespaceIdTaken(namespace_id=namespace_id)
            await self._schedule(tx, row)
            if any(not index["is_protected"] for index in values["payload_indexes"]):
                await self._index(tx, row)
            await self._audit.record(
                tx,
                caller,
                action="namespace_created",
                resource_type="namespace",
                resource_id=namespace_id,
                changes={key: values[key] for key in ("namespace_name", "description", "expires_at")},
                namespace_id=namespace_id,
            )
        return row

    async def inside(self, caller: Caller, identifier: str, permission: Permission) -> NamespaceCaller:
        """Return the caller in the namespace that a path names; raise NamespaceNotFound, Forbidden."""
        async with self._db.read() as tx:
            row = await store.find(tx, caller.organization_id, identifier, patterns=caller.namespaces)
        if row is None:
            raise NamespaceNotFound(identifier)
        inside = caller.inside(row["namespace_id"])
        inside.require(permission)
        return NamespaceCaller(caller=inside, namespace_id=row["namespace_id"], namespace_name=row["namespace_name"])

    async def vector_space(self, tx: NamespaceReader, *, lock: bool = False) -> VectorSpace:
        """Return the vectors that are brought to a namespace; `lock` keeps them until the transaction ends."""
        found = await store.vector_space(tx, lock=lock)
        if found is None:
            raise NamespaceNotFound(tx.namespace_id)
        return VectorSpace(
            mode=found["mode"],
            configs=found["vector_configs"] or [],
            inferred=bool(found["config"].get("infer_vectors")),
        )

    async def keep_vector_space(self, tx: NamespaceWriter, space: VectorSpace) -> None:
        """Write the vectors that are brought, and the mode."""
        await store.update(
            tx.unscoped, tx.namespace_id, {"mode": space.mode, "vector_configs": [dict(one) for one in space.configs]}
        )

    async def read(self, caller: Caller, identifier: str) -> tuple[Record, Counts, dict[str, str]]:
        """Return the namespace, its counts, and feature URI -> model; raise NamespaceNotFound."""
        async with self._db.read() as tx:
            row = await store.find(tx, caller.organization_id, identifier, patterns=caller.namespaces)
            if row is None:
                raise NamespaceNotFound(identifier)
            caller.inside(row["namespace_id"]).require("read")
            counts = await store.counts(tx, [row["namespace_id"]], bound=ONE_COUNT_BOUND)
            models = await store.vector_models(tx.within(row["namespace_id"]))
        await self._audit.note_read(
            caller,
            action="namespace_accessed",
            resource_type="namespace",
            resource_id=row["namespace_id"],
            namespace_id=row["namespace_id"],
        )
        return row, counts.get(row["namespace_id"], {}), models

    async def page(self, caller: Caller, **query: Any) -> tuple[list[Record], dict[str, Record], int]:
        """Return a page of namespaces, their counts by id, and the number of all that match."""
        async with self._db.read() as tx:
            rows, total = await store.page(tx, caller.organization_id, patterns=caller.namespaces, **query)
            counts = await store.counts(tx, [row["namespace_id"] for row in rows], bound=LIST_COUNT_BOUND)
        return rows, counts, total

    async def stats(self, caller: Caller, identifiers: Sequence[str]) -> dict[str, Record]:
        """Return the counts by the given id or name; what is unknown or closed is missing."""
        async with self._db.read() as tx:
            found = await store.visible_ids(tx, caller.organization_id, caller.namespaces, identifiers)
            counts = await store.counts(tx, list(set(found.values())), bound=ONE_COUNT_BOUND)
        return {name: counts[namespace_id] for name, namespace_id in found.items() if namespace_id in counts}

    async def patch(self, caller: Caller, identifier: str, body: PatchNamespace) -> Record:
        """Change what is given; extractors are only added."""
        if body.repair_vectors:
            raise RepairUnbuilt
        given = body.model_fields_set
        changes: dict[str, Any] = {}
        if body.namespace_name is not None:
            changes["namespace_name"] = body.namespace_name
        if "description" in given:
            changes["description"] = body.description
        if given & {"expires_at", "ttl_seconds"}:
            changes["expires_at"] = expiry_of(ttl_seconds=body.ttl_seconds, expires_at=body.expires_at, now=utc_now())
        config = body.model_dump(mode="json", include={*_CONFIG_KEYS, "pinned"}, exclude_unset=True)
        return await self._change(
            caller, identifier, changes, config, added=body.feature_extractors, indexes=body.payload_indexes
        )

    async def put(self, caller: Caller, identifier: str, body: PutNamespace) -> Record:
        """Change name and payload indexes."""
        changes = {} if body.namespace_name is None else {"namespace_name": body.namespace_name}
        return await self._change(caller, identifier, changes, {}, added=None, indexes=body.payload_indexes)

    async def _change(
        self,
        caller: Caller,
        identifier: str,
        changes: dict[str, Any],
        config: Mapping[str, Any],
        *,
        added: Sequence[ExtractorReference] | None,
        indexes: Sequence[PayloadIndex] | None,
    ) -> Record:
        entries = [self._entry(reference) for reference in added or ()]
        if indexes is not None:
            changes["payload_indexes"] = merged_indexes(_dumped(indexes))
        async with self._db.write() as tx:
            row = await store.find(tx, caller.organization_id, identifier, patterns=caller.namespaces, lock=True)
            if row is None:
                raise NamespaceNotFound(identifier)
            namespace_id = row["namespace_id"]
            caller.inside(namespace_id).require("write")
            name = changes.get("namespace_name")
            if name and await store.name_taken(tx, caller.organization_id, name, but=namespace_id):
                raise NamespaceNameTaken(namespace_name=name)
            if entries:
                changes["feature_extractors"] = _joined(row["feature_extractors"], entries)
            if config:
                changes["config"] = {**row["config"], **config}
            after = (await store.update(tx, namespace_id, changes) if changes else None) or row
            if "expires_at" in changes:
                await self._schedule(tx, after)
            if "payload_indexes" in changes:
                await self._index(tx, after)
            if differences := _differences(row, after, changes):
                await self._audit.record(
                    tx,
                    caller,
                    action="namespace_updated",
                    resource_type="namespace",
                    resource_id=namespace_id,
                    changes=differences,
                    namespace_id=namespace_id,
                )
            return after

    async def _index(self, tx: Writer, row: Record) -> None:
        if self._indexes is not None:
            await self._indexes.declare(tx.within(NamespaceId(row["namespace_id"])), row["payload_indexes"])

    async def _schedule(self, tx: Writer, row: Record) -> None:
        if row["expires_at"] is not None and self._expiry is not None:
            await self._expiry.schedule(tx, row["namespace_id"], row["expires_at"])

    async def extractors_registered(
        self, tx: NamespaceWriter, wanted: Sequence[tuple[str, str]]
    ) -> dict[str, dict[str, Any] | None]:
        """Return extractor id -> parameters locked by the namespace, registering built-in ones that are missing.

        Raises the catalogue's ExtractorNotFound for a name or version that nobody knows.
        """
        records = [self._catalogue.get(name, version) for name, version in wanted]
        standing = {entry["feature_extractor_id"]: entry.get("params") for entry in await store.extractors(tx)}
        missing = [_entry_of(record, None) for record in records if record.extractor_id not in standing]
        if missing:
            await store.add_extractors(tx, missing)
        return {record.extractor_id: standing.get(record.extractor_id) for record in records}

    def extractors(self) -> list[Mapping[str, Any]]:
        """Return every extractor as the API shows it; those of packages that cannot be used say why."""
        usable = [extractor(record, self._catalogue.describe(record)) for record in self._catalogue.all()]
        return [*usable, *map(broken_extractor, self._catalogue.broken())]

    def extractor(self, identifier: str) -> Mapping[str, Any]:
        """Return one extractor by `name_version`, `name@version` or name; raise the catalogue's ExtractorNotFound."""
        try:
            record = self._by_identifier(identifier)
        except ExtractorBroken as error:
            named = error.details["extractor"]
            return next(broken_extractor(one) for one in self._catalogue.broken() if one.extractor_id == named)
        return extractor(record, self._catalogue.describe(record))

    def _wanted_extractors(self, body: CreateNamespace) -> list[dict[str, Any]]:
        entries = [self._entry(reference) for reference in body.feature_extractors or ()]
        entries += [_entry_of(self._by_identifier(feature), None) for feature in body.features or ()]
        if body.feature_extractors is None and body.features is None:
            entries = [_entry_of(record, None) for record in self._catalogue.all()]
        return _joined([], entries)

    def _entry(self, reference: ExtractorReference) -> dict[str, Any]:
        record = self._catalogue.get(reference.feature_extractor_name, reference.version)
        if reference.params:
            self._catalogue.validate_parameters(record, reference.params)
        return _entry_of(record, reference.params)

    def _by_identifier(self, identifier: str) -> ExtractorRecord:
        for record in self._catalogue.all():
            if identifier in {record.extractor_id, f"{record.name}@{record.version}", record.name}:
                return record
        name, _, version = identifier.replace("@", "_").rpartition("_v")
        return self._catalogue.get(name or identifier, f"v{version}" if name else "v1")


def _differences(before: Record, after: Record, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what changed; of `config`, which may hold credentials, only which keys."""
    found = changed({name: before[name] for name in given}, {name: after[name] for name in given})
    if "config" in found:
        found["config"] = {"changed_keys": sorted(changed(before["config"], after["config"]))}
    return found


def _entry_of(record: ExtractorRecord, params: Mapping[str, Any] | None) -> dict[str, Any]:
    entry = {
        "feature_extractor_name": record.name,
        "version": record.version,
        "feature_extractor_id": record.extractor_id,
    }
    return {**entry, "params": dict(params)} if params else entry


def _joined(standing: Sequence[dict[str, Any]], added: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Append what is new; an extractor that stands keeps its locked parameters."""
    by_id = {entry["feature_extractor_id"]: entry for entry in [*added, *standing]}
    order = dict.fromkeys(entry["feature_extractor_id"] for entry in [*standing, *added])
    return [by_id[name] for name in order]


def _dumped(indexes: Sequence[PayloadIndex] | None) -> list[dict[str, Any]]:
    return [index.model_dump() for index in indexes or ()]

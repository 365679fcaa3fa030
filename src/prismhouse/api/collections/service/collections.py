"""The collections service."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from prismhouse.api.audit.model import changed
from prismhouse.api.audit.service import Audit
from prismhouse.api.collections import store
from prismhouse.api.collections.model import CollectionRow, resolve_feature_uri
from prismhouse.api.collections.model.brought import BROUGHT, describe_brought
from prismhouse.api.collections.model.features import FEATURE_KEYS
from prismhouse.api.collections.schemas import (
    NO_EFFECT,
    CloneCollection,
    CreateCollection,
    ListCollections,
    Source,
    UpdateCollection,
    unserved_warnings,
)
from prismhouse.api.collections.service.brought import brought_collection
from prismhouse.api.collections.service.define import (
    Buckets,
    Catalogue,
    Definition,
    OwnModels,
    Registry,
    define,
)
from prismhouse.api.collections.service.errors import (
    CollectionBusy,
    CollectionNameTaken,
    CollectionNotFound,
    ImmutableField,
)
from prismhouse.api.web.caller import Scope
from prismhouse.api.web.paging import Page
from prismhouse.api.webhooks.events import Events
from prismhouse.api.webhooks.told import Told
from prismhouse.engine.extractors.port import ExtractorRecord
from prismhouse.kit import json
from prismhouse.kit.clock import iso, utc_now
from prismhouse.kit.cursors import BadCursor, decode_cursor, encode_cursor
from prismhouse.kit.errors import Invalid, field_fault
from prismhouse.kit.ids import CollectionId
from prismhouse.query.filters import parse
from prismhouse.storage.postgres import vectors
from prismhouse.storage.postgres.database import Database, NamespaceReader, NamespaceWriter

__all__ = ["ActiveBatches", "CollectionPage", "Collections", "Counted", "Declare"]

ActiveBatches = Callable[[NamespaceReader, str], Awaitable[Sequence[str]]]
Declare = Callable[..., Awaitable[Any]]
_IMMUTABLE = ("source", "feature_extractor", "feature_extractors", "features", "input_schema")
_AUDITED = ("collection_name", "description", "metadata", "enabled")
_CURSOR_LENGTH = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A collection with its number of documents; `indexing` says whether a batch is writing, None: not asked."""

    row: CollectionRow
    documents: int
    indexing: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionPage:
    """Some collections, how many match in all, and where the next page starts."""

    results: Sequence[Counted]
    total: int
    next_cursor: str | None


class Collections:
    """Create, find, change and delete collections, in one namespace at a time."""

    def __init__(
        self,
        db: Database,
        *,
        catalogue: Catalogue,
        buckets: Buckets,
        namespaces: Registry | None = None,
        models: OwnModels | None = None,
        declare: Declare = vectors.declare,
        audit: Audit | None = None,
        events: Events | None = None,
    ) -> None:
        self._db = db
        self._events = events or Events()
        self._audit = audit or Audit(db)
        self._namespaces = namespaces
        self._models = models
        self._catalogue = catalogue
        self._buckets = buckets
        self._declare = declare
        self._active_batches: ActiveBatches | None = None

    def guard_deletion(self, active_batches: ActiveBatches) -> None:
        """Refuse to delete a collection while `active_batches(tx, collection_id)` returns any; set at wiring."""
        self._active_batches = active_batches

    async def resolve(self, tx: NamespaceReader, identifier: str) -> CollectionRow:
        """Return the collection with this id or name; raise CollectionNotFound."""
        record = await store.find(tx, identifier)
        if record is None:
            raise CollectionNotFound(identifier)
        return CollectionRow.from_record(record)

    async def resolve_id(self, tx: NamespaceReader, identifier: str) -> CollectionId:
        """Return only the id of the collection with this id or name; raise CollectionNotFound."""
        found = await store.find_id(tx, identifier)
        if found is None:
            raise CollectionNotFound(identifier)
        return CollectionId(found)

    async def document_counts(self, tx: NamespaceReader, collection_ids: Sequence[str]) -> dict[str, int]:
        """Return the exact number of documents per collection; empty collections may be absent. Cost: no scan."""
        return await store.document_counts(tx, collection_ids)

    async def resolve_known(self, tx: NamespaceReader, identifiers: Sequence[str]) -> dict[str, CollectionRow]:
        """Return the collections that exist, by the id or name they were asked by, in that order."""
        rows = [CollectionRow.from_record(record) for record in await store.find_many(tx, identifiers)]
        by_any: dict[str, CollectionRow] = {row.name: row for row in rows} | {row.collection_id: row for row in rows}
        return {identifier: by_any[identifier] for identifier in identifiers if identifier in by_any}

    async def brought(
        self, tx: NamespaceWriter, identifier: str | None, configs: Sequence[Mapping[str, Any]]
    ) -> CollectionRow:
        """Return the collection, made if need be, that users bring documents to; raise CollectionExtracts."""
        return await brought_collection(tx, identifier, describe_brought(configs))

    async def give_brought_vectors(self, tx: NamespaceWriter, configs: Sequence[Mapping[str, Any]]) -> None:
        """Make the vectors of a namespace known to all collections that users bring documents to."""
        await store.give_vectors(tx, BROUGHT, describe_brought(configs))

    async def using_model(self, tx: NamespaceReader, model: str) -> list[str]:
        """Return the names of up to 20 collections whose vectors a user's model makes."""
        return await store.using_model(tx, model)

    async def fed_by(self, tx: NamespaceReader, source_ids: Sequence[str]) -> list[CollectionRow]:
        """Return the collections directly fed by these buckets or collections, oldest first, disabled ones too."""
        return [CollectionRow.from_record(record) for record in await store.fed_by(tx, source_ids)]

    async def create(self, scope: Scope, request: CreateCollection) -> Counted:
        """Make a collection, and the vector tables it writes to, in one transaction."""
        async with self._db.write() as unit:
            tx = unit.within(scope.namespace_id)
            definition = await self._define(tx, request)
            return Counted(row=await self._store(tx, scope, definition), documents=0)

    async def _define(self, tx: NamespaceWriter, request: CreateCollection) -> Definition:
        return await define(
            tx,
            request,
            catalogue=self._catalogue,
            buckets=self._buckets,
            namespaces=self._namespaces,
            models=self._models,
        )

    async def _store(
        self, tx: NamespaceWriter, scope: Scope, definition: Definition, *, source: str | None = None
    ) -> CollectionRow:
        _check_index_map(definition.values["config"].get("index_map"), definition.values["vector_indexes"])
        record = await store.insert(tx, definition.values)
        if record is None:
            raise CollectionNameTaken(collection_name=definition.values["collection_name"])
        for output in definition.record.vector_outputs:
            await self._declare(
                tx,
                feature_uri=definition.record.feature_uri(output),
                dimensions=output.dimensions,
                distance=output.distance,
                model=output.model,
            )
        row = CollectionRow.from_record(record)
        made = {
            "collection_name": row.name,
            "source": record["source"],
            "feature_extractor": definition.record.extractor_id,
        }
        await self._audit.record(
            tx.unscoped,
            scope,
            action="collection_created",
            resource_type="collection",
            resource_id=row.collection_id,
            changes=made | ({"cloned_from": source} if source else {}),
        )
        await self._tell(tx, scope, [_told("created", row.collection_id, collection_name=row.name)])
        return row

    async def get(self, scope: Scope, identifier: str) -> Counted:
        """Return a collection with its exact number of documents."""
        async with self._db.read() as unit:
            tx = unit.within(scope.namespace_id)
            row = await self.resolve(tx, identifier)
            active = await self._active_batches(tx, row.collection_id) if self._active_batches else None
            found = replace(await _counted(tx, row), indexing=None if active is None else bool(active))
        await self._audit.note_read(
            scope, action="collection_accessed", resource_type="collection", resource_id=row.collection_id
        )
        return found

    async def list_collections(self, scope: Scope, request: ListCollections, page: Page) -> CollectionPage:
        """Return a page of collections, newest first unless a sort is given."""
        sort, descending = _order(request)
        mark = _mark(request)
        after = _after(page.cursor, mark) if page.cursor else None
        matching = store.matching(
            search=request.search,
            case_sensitive=request.case_sensitive,
            filters=parse(request.filters, case_sensitive=request.case_sensitive),
        )
        async with self._db.read() as unit:
            tx = unit.within(scope.namespace_id)
            total = await store.total(tx, matching)
            records = await store.page(
                tx,
                matching=matching,
                sort=sort,
                descending=descending,
                after=after,
                limit=page.limit + 1,
                offset=0 if after else page.offset,
            )
            counts = await store.document_counts(tx, [record["collection_id"] for record in records[: page.limit]])
        rows = [CollectionRow.from_record(record) for record in records[: page.limit]]
        next_cursor = None
        if len(records) > page.limit:
            last = records[page.limit - 1]
            next_cursor = encode_cursor([last[sort], last["collection_id"]], mark)
        results = [Counted(row=row, documents=counts.get(row.collection_id, 0)) for row in rows]
        return CollectionPage(results=results, total=total, next_cursor=next_cursor)

    async def update(self, scope: Scope, identifier: str, request: UpdateCollection) -> Counted:
        """Change what may change; enabling again clears the reason why it was disabled."""
        given = request.model_fields_set
        if refused := [name for name in (*_IMMUTABLE, "retriever_transform", "tiering_rules") if name in given]:
            raise ImmutableField(fields=", ".join(refused))
        async with self._db.write() as unit:
            tx = unit.within(scope.namespace_id)
            found = await store.find(tx, identifier, lock=True)
            if found is None:
                raise CollectionNotFound(identifier)
            row = CollectionRow.from_record(found)
            config = {**row.config, **request.stored_config()}
            standing = [text for text in config.get("warnings") or () if not text.endswith(NO_EFFECT)]
            config["warnings"] = [*unserved_warnings(config), *standing]
            _check_index_map(config.get("index_map"), row.vector_indexes)
            enabled = row.enabled if request.enabled is None else request.enabled
            name = request.collection_name or row.name
            values = {
                "collection_name": name,
                "description": request.description if "description" in given else row.description,
                "metadata": dict((request.metadata or {}) if "metadata" in given else row.metadata),
                "config": config,
                "enabled": enabled,
                "disabled_reason": None if enabled or row.disabled_reason is None else dict(row.disabled_reason),
            }
            record = await store.update(tx, row.collection_id, values)
            if record is None:
                raise CollectionNameTaken(collection_name=name)
            differences = changed(found, {key: record[key] for key in _AUDITED})
            if settings := sorted(changed(found["config"], record["config"])):
                differences["config"] = {"changed_keys": settings}
            if differences:
                await self._audit.record(
                    unit,
                    scope,
                    action="collection_updated",
                    resource_type="collection",
                    resource_id=row.collection_id,
                    changes=differences,
                )
                fields = sorted(differences)
                told = _told(
                    "updated", row.collection_id, collection_name=record["collection_name"], changed_fields=fields
                )
                await self._tell(tx, scope, [told])
            return await _counted(tx, CollectionRow.from_record(record))

    async def delete(self, scope: Scope, identifier: str) -> CollectionRow:
        """Delete a collection with its documents and vectors; disable what it fed; raise CollectionBusy."""
        async with self._db.write() as unit:
            tx = unit.within(scope.namespace_id)
            found = await store.find(tx, identifier, lock=True)
            if found is None:
                raise CollectionNotFound(identifier)
            row = CollectionRow.from_record(found)
            if self._active_batches and (active := await self._active_batches(tx, row.collection_id)):
                raise CollectionBusy(collection_id=row.collection_id, batches=", ".join(active))
            reason = {
                "code": "source_collection_deleted",
                "message": f"Its source collection {row.name} was deleted.",
                "source_collection_id": row.collection_id,
                "source_collection_name": row.name,
                "disabled_at": iso(utc_now()),
            }
            disabled = await store.disable_downstream(tx, row.collection_id, reason)
            await store.delete_documents(tx, row.collection_id)
            await store.delete(tx, row.collection_id)
            await self._audit.record(
                unit,
                scope,
                action="collection_deleted",
                resource_type="collection",
                resource_id=row.collection_id,
                changes={"collection_name": row.name},
            )
            told = [_told("deleted", row.collection_id, collection_name=row.name)]
            told += [_told("updated", one, changed_fields=["enabled"]) for one in disabled]
            await self._tell(tx, scope, told)
            return row

    async def _tell(self, tx: NamespaceWriter, scope: Scope, told: Sequence[Told]) -> None:
        await self._events.emit_many(
            tx.unscoped, organization_id=scope.organization_id, namespace_id=scope.namespace_id, events=told
        )

    async def clone(self, scope: Scope, identifier: str, request: CloneCollection) -> tuple[Counted, CollectionRow]:
        """Copy a collection under another name, with overrides and without documents; return copy and original."""
        async with self._db.write() as unit:
            tx = unit.within(scope.namespace_id)
            original = await self.resolve(tx, identifier)
            asked = _as_request(original, request)
            definition = await self._define(tx, asked)
            copy = await self._store(tx, scope, definition, source=original.collection_id)
            return Counted(row=copy, documents=0), original

    def extractors(self) -> list[dict[str, Any]]:
        """Return the catalogue as it is answered."""
        return [self._catalogue.describe(record) for record in self._catalogue.all()]

    def extractor(self, identifier: str) -> dict[str, Any]:
        """Return the extractor called `name_version` (or `name`, or `name@version`); raise ExtractorNotFound."""
        for record in self._catalogue.all():
            if identifier in (record.extractor_id, record.name, f"{record.name}@{record.version}"):
                return self._catalogue.describe(record)
        name, _, version = identifier.rpartition("_")
        return self._catalogue.describe(self._catalogue.get(name or identifier, version))

    def menu(self) -> list[tuple[str, ExtractorRecord]]:
        """Return the feature keys whose extractor is in the catalogue."""
        by_name = {(record.name, record.version): record for record in self._catalogue.all()}
        return [(key, by_name[named]) for key, named in FEATURE_KEYS.items() if named in by_name]


def _told(verb: str, collection_id: str, **more: Any) -> Told:
    return f"collection.{verb}", collection_id, {"collection_id": collection_id, **more}


def _order(request: ListCollections) -> tuple[str, bool]:
    """Return the column to sort by and whether descending; of several sorts the first one counts."""
    asked = request.sorts[0] if request.sorts else request.sort
    if asked is None:
        return "created_at", True
    if asked.field not in store.SORTABLE:
        message = f"Collections are sorted by one of: {', '.join(store.SORTABLE)}."
        raise Invalid([field_fault(["body", "sort", "field"], message)])
    return asked.field, asked.direction == "desc"


def _after(cursor: str, mark: str) -> list[str]:
    values = decode_cursor(cursor, length=_CURSOR_LENGTH, fingerprint=mark)
    if not all(isinstance(value, str) for value in values):
        raise BadCursor
    return values


def _mark(request: ListCollections) -> str:
    """Return what a cursor is bound to: the same collections in the same order."""
    asked = request.model_dump(include={"filters", "sort", "sorts", "search", "case_sensitive"})
    return hashlib.blake2b(json.dumps(asked), digest_size=6).hexdigest()


async def _counted(tx: NamespaceReader, row: CollectionRow) -> Counted:
    counts = await store.document_counts(tx, [row.collection_id])
    return Counted(row=row, documents=counts.get(row.collection_id, 0))


def _check_index_map(index_map: Mapping[str, str] | None, indexes: Sequence[Mapping[str, Any]]) -> None:
    for target in (index_map or {}).values():
        resolve_feature_uri(indexes, target)


def _as_request(original: CollectionRow, request: CloneCollection) -> CreateCollection:
    given = request.model_fields_set
    kept = {key: value for key, value in original.config.items() if key in CreateCollection.model_fields}
    source = {key: original.source[key] for key in ("type", "source_filters", "field_map") if key in original.source}
    ids = "bucket_ids" if original.source_type == "bucket" else "collection_ids"
    extractor = {key: value for key, value in original.feature_extractor.items() if key != "feature_extractor_id"}
    return CreateCollection.model_validate(
        {
            **kept,
            "collection_name": request.collection_name,
            "description": request.description if "description" in given else original.description,
            "source": request.source or Source.model_validate({**source, ids: list(original.source_ids)}),
            "feature_extractor": request.feature_extractor or extractor,
            "enabled": original.enabled if request.enabled is None else request.enabled,
            "metadata": request.metadata if "metadata" in given else dict(original.metadata),
            **({"taxonomy_applications": request.taxonomy_applications} if "taxonomy_applications" in given else {}),
        }
    )

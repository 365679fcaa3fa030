"""Lists of documents: plain, or in groups."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from prismhouse.api.collections.service import CollectionNotFound, Collections
from prismhouse.api.documents import store
from prismhouse.api.documents.indexes.service import PayloadIndexes
from prismhouse.api.documents.schemas import ListDocuments, ListNamespaceDocuments, joined
from prismhouse.api.documents.service.listing import CURSOR_SECONDS, Listing, filter_of, group_key, plan
from prismhouse.api.documents.service.shaping import Shaping
from prismhouse.api.documents.service.vectors import Wanted
from prismhouse.api.web.caller import Scope
from prismhouse.api.web.paging import Page, pagination
from prismhouse.kit import json
from prismhouse.kit.cursors import BadCursor
from prismhouse.kit.errors import Invalid, field_fault
from prismhouse.query.filters import MAX_DEPTH, fields_of, guarded
from prismhouse.storage.postgres.database import Database, NamespaceReader, Record

__all__ = ["DocumentList", "Lists"]

# An answer in groups holds about so many documents at most: the fewer groups a page has, the more of each.
_GROUPED_DOCUMENTS = 1_000
_COLLECTION_ID = re.compile(r"col_[0-9a-z]{6,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentList:
    """Ready documents, or groups of them under the name `groups`, and the rest of a ListDocumentsResponse."""

    documents: Sequence[bytes]
    rest: Mapping[str, Any]
    name: str = "results"

    def content(self) -> bytes:
        """Return the answer's body."""
        return joined(self.documents, self.rest, name=self.name)


class Lists:
    """Lists documents of one collection, of several, or of all."""

    def __init__(
        self,
        db: Database,
        *,
        collections: Collections,
        shaping: Shaping,
        indexes: PayloadIndexes | None,
        filter_depth: int = MAX_DEPTH,
        cursor_seconds: float = CURSOR_SECONDS,
    ) -> None:
        self._db = db
        self._collections = collections
        self._shaping = shaping
        self._indexes = indexes
        self._filter_depth = filter_depth
        self._cursor_seconds = cursor_seconds

    async def inside(self, scope: Scope, identifier: str, *, request: ListDocuments, page: Page) -> DocumentList:
        """List the documents of one collection."""
        async with self._db.read() as unit:
            tx = unit.within(scope.namespace_id)
            if _COLLECTION_ID.fullmatch(identifier):
                # Whatever has documents is a collection: its id need not be looked up first.
                listed = await self._list(tx, scope, request=request, page=page, collection_ids=[identifier])
                if listed.documents:
                    return listed
            collection_id = await self._collections.resolve_id(tx, identifier)
            return await self._list(tx, scope, request=request, page=page, collection_ids=[collection_id])

    async def everywhere(self, scope: Scope, *, request: ListNamespaceDocuments, page: Page) -> DocumentList:
        """List the documents of several collections, or of all; raise CollectionNotFound when none is known."""
        asked = request.identifiers()
        async with self._db.read() as unit:
            tx = unit.within(scope.namespace_id)
            known = await self._collections.resolve_known(tx, asked) if asked else {}
            if asked and not known:
                raise CollectionNotFound(", ".join(asked))
            ids = list(dict.fromkeys(row.collection_id for row in known.values()))
            listed = await self._list(tx, scope, request=request, page=page, collection_ids=ids)
        unknown = [identifier for identifier in asked if identifier not in known]
        return dataclasses.replace(listed, rest={**listed.rest, "unknown_collection_ids": unknown or None})

    async def _list(
        self, tx: NamespaceReader, scope: Scope, *, request: ListDocuments, page: Page, collection_ids: Sequence[str]
    ) -> DocumentList:
        started = time.perf_counter()
        filter_ = filter_of(request, max_depth=self._filter_depth)
        used = fields_of(filter_) | ({request.sort.field} if request.sort else set())
        grouped = {request.grouped_by} if request.grouped_by else set()
        states = await self._indexes.states(tx, used | grouped) if self._indexes else {}
        ready = frozenset(name for name, state in states.items() if state == "ready")
        listing = plan(
            request,
            page,
            namespace_id=scope.namespace_id,
            collection_ids=collection_ids,
            filter_=filter_,
            indexed=ready,
            cursor_seconds=self._cursor_seconds,
        )
        async with guarded(tx, filter_):
            if request.grouped_by:
                _check_grouping(request.grouped_by, states, scope)
                listed = await self._grouped(tx, scope, listing, request=request, page=page)
            else:
                listed = await self._plain(tx, scope, listing, request=request, page=page)
        bare = sorted(name for name, state in states.items() if state is None)
        if bare and self._indexes is not None:
            self._indexes.note(scope.namespace_id, bare, seconds=time.perf_counter() - started)
        warnings = [_advice(name, scope) for name in bare] or None
        return dataclasses.replace(listed, rest={**listed.rest, "warnings": warnings})

    async def _plain(
        self, tx: NamespaceReader, scope: Scope, listing: Listing, *, request: ListDocuments, page: Page
    ) -> DocumentList:
        found = await read_page(tx, listing, page)
        more, found = len(found) > page.limit, found[: page.limit]
        total = await self._total(tx, listing) if page.include_total else None
        cursor = listing.cursor_after(found[-1]["sort_value"], found[-1]["document_id"]) if more else None
        blobs = sum(row["blob_count"] for row in found)
        stats = {"total_documents": total, "avg_blobs_per_document": blobs / len(found) if found else 0.0}
        rest = {"pagination": _paging(page, total=total, cursor=cursor), "total_documents": total, "stats": stats}
        return DocumentList(documents=await self._shaped(tx, scope, found, request), rest=rest)

    async def _grouped(
        self, tx: NamespaceReader, scope: Scope, listing: Listing, *, request: ListDocuments, page: Page
    ) -> DocumentList:
        grouping = listing.grouping
        assert grouping is not None and grouping.key is not None  # noqa: S101, PT018 - `plan` made both
        try:
            rows = await store.group_page(
                tx,
                listing.selection,
                grouping,
                listing.order,
                after=listing.after,
                limit=page.limit + 1,
                offset=0 if page.cursor else page.offset,
                documents=max(1, _GROUPED_DOCUMENTS // page.limit),
            )
        except psycopg.DataError as error:
            raise _cursor_fault(error, page) from error
        groups: dict[str, list[Record]] = {}
        for row in rows:
            groups.setdefault(row["group_value"], []).append(row)
        values = list(groups)[: page.limit]
        shown = [row for value in values for row in groups[value]]
        documents = iter(await self._shaped(tx, scope, shown, request))
        ready = [
            b'{"group_key":%s,"count":%d,"documents":[%s]}'
            % (
                json.dumps(group_key(value, grouping.key.kind)),
                groups[value][0]["group_count"],
                b",".join(next(documents) for _ in groups[value]),
            )
            for value in values
        ]
        total = total_groups = None
        if page.include_total:
            total = await self._total(tx, listing)
            total_groups = await store.group_total(tx, listing.selection, grouping)
        cursor = listing.cursor_after(values[-1], "") if len(groups) > page.limit else None
        sizes = [groups[value][0]["group_count"] for value in values]
        stats = {
            "total_documents": total,
            "avg_blobs_per_document": sum(row["blob_count"] for row in shown) / len(shown) if shown else 0.0,
            "total_groups": total_groups,
            "avg_documents_per_group": sum(sizes) / len(sizes) if sizes else 0.0,
        }
        rest = {
            "group_by_field": request.grouped_by,
            "pagination": _paging(page, total=total_groups, cursor=cursor),
            "total_documents": total,
            "stats": stats,
        }
        return DocumentList(documents=ready, rest=rest, name="groups")

    async def _shaped(
        self, tx: NamespaceReader, scope: Scope, found: Sequence[Record], request: ListDocuments
    ) -> list[bytes]:
        return await self._shaping.documents(
            tx,
            scope,
            found,
            wanted=Wanted(values=bool(request.return_vectors), names=request.return_vector_names),
            select=request.select or (),
            presign=request.return_presigned_urls,
            expand=request.expand or (),
        )

    async def _total(self, tx: NamespaceReader, listing: Listing) -> int:
        collection_ids = listing.selection.collection_ids
        if listing.selection.whole and collection_ids:
            return sum((await self._collections.document_counts(tx, collection_ids)).values())
        return await store.total(tx, listing.selection)


async def read_page(tx: NamespaceReader, listing: Listing, page: Page) -> list[Record]:
    """Return the documents of a page and one more, if there is one; raise BadCursor."""
    offset = 0 if page.cursor else page.offset
    try:
        return await store.page(
            tx, listing.selection, listing.order, after=listing.after, limit=page.limit + 1, offset=offset
        )
    except psycopg.DataError as error:
        raise _cursor_fault(error, page) from error


def _cursor_fault(error: psycopg.DataError, page: Page) -> Exception:
    """A forged cursor is the only text that was not checked before, except for regular expressions."""
    forged = page.cursor is not None and not isinstance(error, psycopg.errors.InvalidRegularExpression)
    return BadCursor() if forged else error


def _paging(page: Page, *, total: int | None, cursor: str | None) -> dict[str, Any]:
    """Return both the official client's names and those of the published examples."""
    paging = pagination(page, total=total, next_cursor=cursor)
    return paging | {
        "has_more": cursor is not None,
        "limit": page.limit,
        "offset": page.offset,
        "total_count": total if page.include_total else None,
    }


def _call(name: str, scope: Scope) -> str:
    return (
        f'add {{"field_name": {json.dumps(name).decode()}, "type": ...}} to `payload_indexes` with'
        f" PATCH /v1/namespaces/{scope.namespace_id} (the list sent replaces the one that stands)"
    )


def _advice(name: str, scope: Scope) -> str:
    return f"Field `{name}` has no payload index. The answer is complete; to make it faster, {_call(name, scope)}."


def _check_grouping(name: str, states: Mapping[str, str | None], scope: Scope) -> None:
    if name in states and states[name] is None:
        message = f"grouping by `{name}` needs a payload index: {_call(name, scope)}"
        raise Invalid([field_fault(["body", "group_by"], message)])

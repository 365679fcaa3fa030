"""Reading uploads: one, or pages of a bucket's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from prismhouse.api.buckets.service import Buckets
from prismhouse.api.uploads.errors import UploadNotFound
from prismhouse.api.uploads.model import Upload, UploadStatus
from prismhouse.api.uploads.schemas import ListUploads
from prismhouse.api.uploads.store import lists, rows
from prismhouse.api.web.caller import Scope
from prismhouse.api.web.links import Downloads
from prismhouse.api.web.paging import Page
from prismhouse.api.web.storable import unstorable
from prismhouse.kit import json
from prismhouse.kit.cursors import decode_cursor, encode_cursor
from prismhouse.kit.errors import Invalid
from prismhouse.query.filters import guarded, parse, to_sql, upload_columns
from prismhouse.storage.postgres.database import Database

__all__ = ["Reading"]

_COLUMNS = upload_columns("u")
_NEWEST_FIRST = ("created_at", True)


class Reading:
    """Answers what uploads there are."""

    def __init__(self, db: Database, *, buckets: Buckets, downloads: Downloads, filter_depth: int) -> None:
        self._db = db
        self._buckets = buckets
        self._downloads = downloads
        self._filter_depth = filter_depth

    async def one(self, scope: Scope, upload_id: str, identifier: str | None) -> Upload:
        """Return one upload, where given only of this bucket."""
        async with self._db.read() as tx:
            scoped = tx.within(scope.namespace_id)
            bucket_id = None
            if identifier is not None:
                bucket_id = (await self._buckets.resolve(scoped, identifier)).bucket_id
            upload = await rows.find(scoped, upload_id, bucket_id=bucket_id)
        if upload is None:
            raise UploadNotFound(resource="upload", id=upload_id)
        return upload

    async def list(
        self, scope: Scope, identifier: str, request: ListUploads, page: Page
    ) -> tuple[Sequence[Upload], int | None, str | None]:
        """Return a page of uploads, the number of all when asked for, and the cursor of the next page."""
        if faults := unstorable(request.model_dump(include={"filters", "sort", "search"}), ["body"]):
            raise Invalid(faults)
        filter_ = parse(request.filters, max_depth=self._filter_depth, path=("body", "filters"), case_sensitive=False)
        condition, parameters = to_sql(filter_, _COLUMNS)
        sort = (request.sort.field, request.sort.direction == "desc") if request.sort else _NEWEST_FIRST
        async with self._db.read() as tx:
            scoped = tx.within(scope.namespace_id)
            bucket = await self._buckets.resolve(scoped, identifier)
            asked = json.dumps([bucket.bucket_id, request.filters, sort, request.search])
            fingerprint = hashlib.sha256(asked).hexdigest()[:12]
            after = decode_cursor(page.cursor, length=2, fingerprint=fingerprint) if page.cursor else None
            selection = lists.Selection(
                bucket_id=bucket.bucket_id, condition=condition, parameters=parameters, search=request.search
            )
            async with guarded(scoped, filter_):
                found = await lists.page(
                    scoped, selection, sort=sort, after=after, limit=page.limit + 1, offset=page.offset
                )
                total = await lists.total(scoped, selection) if page.include_total else None
        shown = found[: page.limit]
        cursor = encode_cursor(shown[-1][1], fingerprint) if len(found) > page.limit else None
        return [upload for upload, _ in shown], total, cursor

    def download_url(self, scope: Scope, upload: Upload) -> str | None:
        """Return a link to the file of a completed upload; None for every other."""
        if upload.status is not UploadStatus.COMPLETED or upload.sha256 is None:
            return None
        filename = upload.filename.rsplit("/", 1)[-1]
        return self._downloads.url(
            scope.namespace_id, upload.sha256, content_type=upload.content_type, filename=filename, md5=upload.md5
        )

"""What a user can do with uploads. Each verb has a file of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prismhouse.api.buckets.schemas import Policy
from prismhouse.api.buckets.service import Buckets
from prismhouse.api.objects.service import Objects
from prismhouse.api.tasks.service import Tasks
from prismhouse.api.uploads.model import Upload
from prismhouse.api.uploads.schemas import ConfirmUpload, ConfirmUploads, CreateUpload, CreateUploads, ListUploads
from prismhouse.api.uploads.service.cancel import Cancellation
from prismhouse.api.uploads.service.confirm import Confirmation
from prismhouse.api.uploads.service.create import Creation, Made, Skipped
from prismhouse.api.uploads.service.expire import Expiry
from prismhouse.api.uploads.service.list import Reading
from prismhouse.api.uploads.service.look import Looking
from prismhouse.api.uploads.service.recover import Recovery
from prismhouse.api.uploads.service.settle import Settlement
from prismhouse.api.uploads.service.sources import UploadSources
from prismhouse.api.web.caller import Scope
from prismhouse.api.web.links import Downloads
from prismhouse.api.web.paging import Page
from prismhouse.kit.ids import BucketId
from prismhouse.settings import LimitSettings
from prismhouse.storage.blobs.staging import Staging
from prismhouse.storage.jobs.queue import JobQueue
from prismhouse.storage.postgres.database import Database

__all__ = ["Made", "Skipped", "Uploads"]


class Uploads:
    """Files that clients put into storage themselves, from the URL to the confirmation."""

    def __init__(
        self,
        db: Database,
        *,
        buckets: Buckets,
        objects: Objects,
        staging: Staging,
        downloads: Downloads,
        limits: LimitSettings,
        tasks: Tasks,
        jobs: JobQueue,
    ) -> None:
        self._creation = Creation(db, buckets=buckets, objects=objects, staging=staging, limits=limits)
        self._reading = Reading(db, buckets=buckets, downloads=downloads, filter_depth=limits.filter_depth)
        self._cancellation = Cancellation(db, buckets=buckets, objects=objects, staging=staging)
        self._expiry = Expiry(db, objects=objects, staging=staging)
        looking = Looking(staging, max_bytes=limits.blob_bytes)
        settlement = Settlement(db, buckets=buckets, objects=objects, looking=looking)
        self._confirmation = Confirmation(
            db,
            buckets=buckets,
            objects=objects,
            tasks=tasks,
            jobs=jobs,
            looking=looking,
            settlement=settlement,
            sync_bytes=limits.sync_confirm_bytes,
        )
        objects.use(uploads=UploadSources(objects=objects, settlement=settlement))
        self._recovery = Recovery(db, objects=objects, staging=staging)
        buckets.on_delete(self._cancellation.empty_bucket)

    async def create(self, scope: Scope, identifier: str, request: CreateUpload) -> Made | Skipped:
        """Issue a URL for one file, or say which upload or object has it already."""
        return await self._creation.one(scope, identifier, request)

    async def create_many(self, scope: Scope, identifier: str, request: CreateUploads) -> list[Made | Skipped]:
        """Issue URLs for up to 100 files in the order of the request: all or, where one is at fault, none."""
        return await self._creation.many(scope, identifier, request)

    async def list(
        self, scope: Scope, identifier: str, request: ListUploads, page: Page
    ) -> tuple[Sequence[Upload], int | None, str | None]:
        """Return a page of uploads, the number of all when asked for, and the cursor of the next page."""
        return await self._reading.list(scope, identifier, request, page)

    async def read(self, scope: Scope, upload_id: str, *, identifier: str | None = None) -> Upload:
        """Return one upload, where given only of this bucket; raise UploadNotFound."""
        return await self._reading.one(scope, upload_id, identifier)

    def download_url(self, scope: Scope, upload: Upload) -> str | None:
        """Return a link to the file of a completed upload; None for every other."""
        return self._reading.download_url(scope, upload)

    async def confirm(
        self,
        scope: Scope,
        upload_id: str,
        request: ConfirmUpload,
        *,
        identifier: str | None = None,
        policy: Policy | None = None,
        asynchronous: bool = False,
    ) -> Upload:
        """Verify what was put and make its object, at once or by a job (then PROCESSING, with a task)."""
        return await self._confirmation.one(
            scope, upload_id, request, identifier=identifier, policy=policy, asynchronous=asynchronous
        )

    async def confirm_many(
        self, scope: Scope, identifier: str, request: ConfirmUploads, *, policy: Policy | None = None
    ) -> dict[str, Any]:
        """Have a job confirm up to 100 uploads of a bucket; return its task."""
        return await self._confirmation.many(scope, identifier, request, policy=policy)

    async def cancel(
        self, scope: Scope, upload_id: str, *, identifier: str | None = None, delete_file: bool = True
    ) -> None:
        """Cancel an upload that is not confirmed, and delete what was put; raise UploadNotFound, UploadEnded."""
        await self._cancellation.one(scope, upload_id, identifier, delete_file=delete_file)

    async def empty_bucket(self, scope: Scope, bucket_id: BucketId) -> None:
        """Delete all uploads of a bucket."""
        await self._cancellation.empty_bucket(scope, bucket_id)

    async def expire(self) -> int:
        """Fail uploads whose time is over, in all namespaces; return how many."""
        return await self._expiry.expire()

    async def recover(self) -> int:
        """Put back uploads whose confirmation died and was not repeated; return how many."""
        return await self._recovery.recover()

    async def sweep(self) -> tuple[int, int]:
        """Delete old records and staged files that nothing needs; return how many of each."""
        return await self._expiry.forget(), await self._expiry.sweep()

"""Bringing a model: by a presigned URL for the organization, by a form for one namespace. Both are looked through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prismhouse.api.archives.schemas import ConfirmArchive
from prismhouse.api.archives.service import Archives, Issued
from prismhouse.api.models import store
from prismhouse.api.models.errors import ModelNameTaken, TooManyModels
from prismhouse.api.models.schemas import CreateModelUpload, ModelForm
from prismhouse.api.web.caller import Caller, NamespaceCaller
from prismhouse.api.web.forms import Piece
from prismhouse.engine.inference.archive import ArchiveLimits, ArchiveRefused, Contents
from prismhouse.engine.inference.uploaded import refusal
from prismhouse.kit.errors import Invalid, field_fault
from prismhouse.kit.ids import NamespaceId, OrganizationId, new_id
from prismhouse.settings import LimitSettings
from prismhouse.storage.blobs.port import StoredBlob
from prismhouse.storage.compute.port import Compute, ComputeTimedOut, WorkerLost
from prismhouse.storage.postgres.database import Database, Reader, Writer

__all__ = ["CONTENT_TYPE", "SETTING", "Bringing"]

_KIND = "model"
CONTENT_TYPE = "application/gzip"
SETTING = "PRISMHOUSE_LIMITS__MODEL_BYTES"
_INSPECT = "prismhouse.engine.inference.archive:inspect"
_GROUP = "archives"


class Bringing:
    """Archives in, models out. An archive is looked through in a compute process, which may die of it."""

    def __init__(self, db: Database, *, archives: Archives, compute: Compute, limits: LimitSettings) -> None:
        self._db = db
        self._archives = archives
        self._compute = compute
        self._limits = limits

    @property
    def unpacking(self) -> ArchiveLimits:
        """What an archive may become."""
        return ArchiveLimits(size_bytes=self._limits.model_unpacked_bytes)

    async def issue(self, caller: Caller, request: CreateModelUpload) -> Issued:
        """Return a URL for the archive of a model of the organization.

        Raises Invalid for a format that is not taken, ModelNameTaken, TooManyModels.
        """
        _check_format(request.model_format)
        organization_id = caller.organization_id
        async with self._db.write() as tx:
            await self._check_room(tx, organization_id, None, request.name, request.version)
            return await self._archives.issue(
                tx,
                organization_id,
                new_id("upl"),
                kind=_KIND,
                filename=f"{request.name}-{request.version}.tar.gz",
                content_type=CONTENT_TYPE,
                size_bytes=request.file_size_bytes,
                seconds=request.presigned_url_expiration,
                request=request.model_dump(mode="json"),
            )

    async def confirm(self, caller: Caller, upload_id: str, request: ConfirmArchive) -> Mapping[str, Any]:
        """Make a model of what was put, and return what is answered; a file that is none is settled as failed.

        Raises ModelNameTaken or TooManyModels where others came first: the upload stays, to be confirmed again.
        Nothing is acknowledged before everything is stored: who dies on the way leaves an upload to confirm again.
        """
        organization_id = caller.organization_id
        upload = await self._archives.upload(organization_id, upload_id, _KIND)
        if upload["answer"] is not None:
            return dict(upload["answer"])
        stored = await self._archives.arrived(
            upload,
            etag=request.etag,
            size_bytes=request.file_size_bytes,
            most_bytes=self._limits.model_bytes,
            setting=SETTING,
        )
        asked = upload["request"]
        try:
            contents = await self._looked_through(organization_id, stored, asked["model_format"])
        except ArchiveRefused as error:
            answer = _answer(upload_id, None, error.message)
            async with self._db.write() as tx:
                earlier = await self._archives.settle(tx, organization_id, upload_id, status="FAILED", answer=answer)
        else:
            model_id = new_id("mdl", 12)
            answer = _answer(upload_id, model_id, None)
            async with self._db.write() as tx:
                earlier = await self._archives.settle(tx, organization_id, upload_id, status="COMPLETED", answer=answer)
                if earlier is None:
                    values = {**asked, "model_id": model_id, "owner_namespace_id": None}
                    await self._insert(tx, organization_id, values, stored, contents)
        await self._archives.discard(upload["s3_key"])
        return answer if earlier is None else earlier

    async def receive(self, caller: NamespaceCaller, form: ModelForm, piece: Piece) -> str:
        """Make a model of a namespace's own out of a form's file; return its id.

        Raises ArchiveRefused, ModelNameTaken, TooManyModels, ArchiveTooLarge.
        """
        organization_id, namespace_id = caller.caller.organization_id, caller.namespace_id
        _check_format(form.model_format)
        async with self._db.read() as tx:
            await self._check_room(tx, organization_id, namespace_id, form.name, form.version)
        stored = await self._archives.put(organization_id, piece, most_bytes=self._limits.model_bytes, setting=SETTING)
        contents = await self._looked_through(organization_id, stored, form.model_format)
        model_id = new_id("mdl", 12)
        values = {
            **form.model_dump(include={"name", "version", "model_format", "framework", "task_type"}),
            "model_id": model_id,
            "owner_namespace_id": namespace_id,
            "description": None,
            "source": "customer",
            "resource_requirements": form.resources().model_dump(),
        }
        async with self._db.write() as tx:
            await self._insert(tx, organization_id, values, stored, contents)
            await store.enable(tx.within(namespace_id), model_id, None)
        return model_id

    async def _looked_through(self, organization_id: OrganizationId, stored: StoredBlob, model_format: str) -> Contents:
        async with self._archives.held(organization_id, stored.sha256, stored.size_bytes) as path:
            try:
                contents: Contents = await self._compute.run(_INSPECT, path, self.unpacking, group=_GROUP)
            except (WorkerLost, ComputeTimedOut, MemoryError) as error:
                raise ArchiveRefused(reason="the process that looked through it ran out of memory or time.") from error
        if reason := refusal(list(contents.files), model_format):
            raise ArchiveRefused(reason=f"{reason}.")
        return contents

    async def _insert(
        self,
        tx: Writer,
        organization_id: OrganizationId,
        values: Mapping[str, Any],
        stored: StoredBlob,
        contents: Contents,
    ) -> None:
        await self._archives.hold_limits(tx, organization_id)
        await self._check_count(tx, organization_id)
        made = await store.insert(
            tx,
            {
                **values,
                "organization_id": organization_id,
                "sha256": stored.sha256,
                "md5": stored.md5,
                "size_bytes": stored.size_bytes,
                "files": contents.files,
            },
        )
        if made is None:
            raise ModelNameTaken(name=values["name"], version=values["version"])

    async def _check_room(
        self, tx: Reader, organization_id: OrganizationId, namespace_id: NamespaceId | None, name: str, version: str
    ) -> None:
        if await store.is_taken(tx, organization_id, namespace_id, name, version):
            raise ModelNameTaken(name=name, version=version)
        await self._check_count(tx, organization_id)

    async def _check_count(self, tx: Reader, organization_id: OrganizationId) -> None:
        if await store.count(tx, organization_id) >= self._limits.models:
            raise TooManyModels(limit=self._limits.models)


def _check_format(model_format: str) -> None:
    if model_format == "pytorch" and (reason := refusal([], model_format)):
        raise Invalid([field_fault(["body", "model_format"], f"{reason}.", "unsupported_format")])


def _answer(upload_id: str, model_id: str | None, error: str | None) -> dict[str, Any]:
    passed = model_id is not None
    return {
        "success": passed,
        "upload_id": upload_id,
        "model_id": model_id,
        "validation_status": "passed" if passed else "failed",
        "validation_errors": [] if error is None else [error],
        "s3_archive_url": None,
        "message": f"Model {model_id} is ready to be enabled and deployed in a namespace." if passed else error,
    }

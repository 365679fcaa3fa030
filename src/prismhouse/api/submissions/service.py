"""What a user can do with an extractor in code: send it in, and see what became of it. Nothing here runs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prismhouse.api.archives.schemas import ConfirmArchive
from prismhouse.api.archives.service import Archives, Issued
from prismhouse.api.submissions import store
from prismhouse.api.submissions.schemas import LARGEST_BYTES, CreateSubmission
from prismhouse.api.web.caller import Caller
from prismhouse.api.web.paging import Page
from prismhouse.api.web.storable import unstorable
from prismhouse.engine.extractors.submitted import Examined, SubmissionLimits
from prismhouse.engine.inference.archive import ArchiveRefused
from prismhouse.kit.clock import iso
from prismhouse.kit.errors import Code, Invalid, WarehouseError, field_fault
from prismhouse.kit.ids import OrganizationId, new_id
from prismhouse.storage.blobs.port import StoredBlob
from prismhouse.storage.compute.port import Compute, ComputeTimedOut, WorkerLost
from prismhouse.storage.postgres.database import Database, Reader

__all__ = ["CONTENT_TYPE", "Submissions"]

CONTENT_TYPE = "application/zip"
_KIND = "extractor"
_SECONDS = 3600
_EXAMINE = "prismhouse.engine.extractors.submitted:examine"
_EXAMINE_SECONDS = 60.0
_WAITS = (
    "The archive was looked through. It does not run here yet: it waits for the operator of this server to read it and"
    " install it as a Python package (docs/custom-extractors.md)."
)
_REJECTED = "The code uses what extractors may not use; see security_violations. Correct it and send it in again."


class SubmissionsOff(WarehouseError):
    """This server takes no extractors as code: whoever may send code may run it here."""

    code = Code.FORBIDDEN
    hint = (
        "Its operator can set PRISMHOUSE_LIMITS__CUSTOM_EXTRACTORS, or install your extractor as a Python package"
        " with an entry point (docs/custom-extractors.md)."
    )
    wire_code = "submissions_off"


class TooManySubmissions(WarehouseError):
    """The organization has {limit} submitted extractors that wait to be looked at, and may not have more."""

    code = Code.FORBIDDEN
    hint = "The operator of this server can raise PRISMHOUSE_LIMITS__CUSTOM_EXTRACTORS."


class SubmissionTaken(WarehouseError):
    """Extractor {name} of version {version} was sent in already."""

    code = Code.ALREADY_EXISTS
    hint = "Send it in as another version."


class SubmissionNotFound(WarehouseError):
    """No submission {id} in this organization."""

    code = Code.NOT_FOUND
    hint = "`GET /v1/extractors/submissions` lists them."


class Submissions:
    """Extractors sent in by organizations: of each, as many as `limit` wait, and as many rejected ones are kept."""

    def __init__(self, db: Database, *, archives: Archives, compute: Compute, limit: int) -> None:
        self._db = db
        self._archives = archives
        self._compute = compute
        self._limit = limit

    async def issue(self, caller: Caller, request: CreateSubmission) -> tuple[Issued, str]:
        """Return a URL for the archive and the version as it is kept; raise SubmissionsOff, SubmissionTaken."""
        self._check_on()
        organization_id, version = caller.organization_id, _normalized(request.version)
        submission_id = new_id("sub", 12)
        async with self._db.write() as tx:
            await self._check_room(tx, organization_id, request.name, version)
            await store.forget_never_sent(tx, organization_id)
            issued = await self._archives.issue(
                tx,
                organization_id,
                submission_id,
                kind=_KIND,
                filename=f"{request.name}-{version}.zip",
                content_type=CONTENT_TYPE,
                size_bytes=request.file_size_bytes,
                seconds=_SECONDS,
                request=request.model_dump(mode="json"),
            )
            await store.insert(
                tx,
                {
                    "submission_id": submission_id,
                    "organization_id": organization_id,
                    "extractor_name": request.name,
                    "version": version,
                    "description": request.description,
                },
            )
        return issued, version

    async def confirm(self, caller: Caller, submission_id: str, request: ConfirmArchive) -> Mapping[str, Any]:
        """Look through what was put, and return what is answered.

        Raises Invalid for a manifest with faults, ArchiveRefused for a file that is no such archive: the right one
        may be put to the same URL then. SubmissionTaken and TooManySubmissions: another one was confirmed meanwhile.
        """
        organization_id = caller.organization_id
        upload = await self._archives.upload(organization_id, submission_id, _KIND)
        self._check_on()
        if upload["answer"] is not None:
            return dict(upload["answer"])
        stored = await self._archives.arrived(
            upload,
            etag=request.etag,
            size_bytes=request.file_size_bytes,
            most_bytes=LARGEST_BYTES,
            setting=None,
        )
        examined = await self._examined(organization_id, stored, upload["request"])
        status = "rejected" if examined.findings else "pending_review"
        message = _REJECTED if examined.findings else _WAITS
        answer = {
            "success": not examined.findings,
            "submission_id": submission_id,
            "status": status,
            "security_scan_passed": not examined.findings,
            "security_violations": examined.findings,
            "manifest_valid": True,
            "message": message,
        }
        values = {
            "status": status,
            "sha256": stored.sha256,
            "md5": stored.md5,
            "size_bytes": stored.size_bytes,
            "manifest": examined.manifest,
            "findings": examined.findings,
            "message": message,
        }
        async with self._db.write() as tx:
            earlier = await self._archives.settle(tx, organization_id, submission_id, status="COMPLETED", answer=answer)
            if earlier is None:
                if not examined.findings:
                    await self._archives.hold_limits(tx, organization_id)
                    asked = upload["request"]
                    await self._check_room(tx, organization_id, asked["name"], _normalized(asked["version"]))
                await store.settle(tx, submission_id, values)
                await store.forget_rejected(tx, organization_id, keep=self._limit)
        await self._archives.discard(upload["s3_key"])
        return answer if earlier is None else earlier

    async def list(self, caller: Caller, status: str | None, page: Page) -> tuple[list[dict[str, Any]], int]:
        """Return a page of the organization's submissions, newest first, and how many there are."""
        organization_id = caller.organization_id
        async with self._db.read() as tx:
            rows = await store.list_some(tx, organization_id, status, limit=page.limit, offset=page.offset)
            total = await store.count(tx, organization_id, status)
        return [_item(row) for row in rows], total

    async def read(self, caller: Caller, submission_id: str) -> dict[str, Any]:
        """Return one of them, with a link to its archive; raise SubmissionNotFound."""
        async with self._db.read() as tx:
            row = await store.find(tx, caller.organization_id, submission_id)
        if row is None:
            raise SubmissionNotFound(resource="submission", id=submission_id)
        link = None
        if row["sha256"] is not None:
            filename = f"{row['extractor_name']}-{row['version']}.zip"
            link = self._archives.download_url(
                row["organization_id"], row, filename=filename, content_type=CONTENT_TYPE
            )
        return {
            **_item(row),
            "manifest": row["manifest"],
            "security_violations": row["findings"],
            "message": row["message"],
            "archive_url": link,
            "size_bytes": row["size_bytes"],
            "sha256": row["sha256"],
            "updated_at": iso(row["updated_at"]),
        }

    async def _check_room(self, tx: Reader, organization_id: OrganizationId, name: str, version: str) -> None:
        if await store.is_taken(tx, organization_id, name, version):
            raise SubmissionTaken(name=name, version=version)
        if await store.count(tx, organization_id, "pending_review") >= self._limit:
            raise TooManySubmissions(limit=self._limit)

    def _check_on(self) -> None:
        if not self._limit:
            raise SubmissionsOff

    async def _examined(
        self, organization_id: OrganizationId, stored: StoredBlob, asked: Mapping[str, Any]
    ) -> Examined:
        async with self._archives.held(organization_id, stored.sha256, stored.size_bytes) as path:
            try:
                examined: Examined = await self._compute.run(
                    _EXAMINE, path, SubmissionLimits(), timeout_seconds=_EXAMINE_SECONDS, group="archives"
                )
            except (WorkerLost, ComputeTimedOut, MemoryError) as error:
                raise ArchiveRefused(reason="the process that looked through it ran out of memory or time.") from error
        faults = [field_fault(["manifest", *path], message) for path, message in examined.faults]
        named = examined.manifest.get("metadata") or {}
        if not faults and (named["feature_extractor_name"], _normalized(named["version"])) != (
            asked["name"],
            _normalized(asked["version"]),
        ):
            where = ["manifest", "metadata"]
            faults.append(field_fault(where, f"names another extractor than {asked['name']} {asked['version']}"))
        faults += [] if faults else unstorable(examined.manifest, ["manifest"])
        if faults:
            raise Invalid(faults)
        return examined


def _item(row: Mapping[str, Any]) -> dict[str, Any]:
    seen = row["sha256"] is not None
    return {
        "submission_id": row["submission_id"],
        "extractor_name": row["extractor_name"],
        "version": row["version"],
        "description": row["description"],
        "status": row["status"],
        "security_scan_passed": (not row["findings"]) if seen else None,
        "visibility": "private",
        "submitted_at": iso(row["submitted_at"]),
        "reviewed_at": None,
    }


def _normalized(version: str) -> str:
    parts = version.removeprefix("v").split(".")
    return ".".join([*parts, "0", "0"][:3])

"""Files by signed upload: many asked for and confirmed at once, a few put at a time, none held in memory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx2

from prismhouse.cli.batch.server import Refused, Server, Unreachable
from prismhouse.cli.ingest.files import FileFound, Left
from prismhouse.cli.words import printable
from prismhouse.kit.errors import WarehouseError

__all__ = ["Sent", "Stuck", "send"]

_AT_ONCE = 50
_EXPIRATION_SECONDS = 86_400
_LONGEST_FILENAME = 255
_POLL_SECONDS = 0.1
_LONGEST_POLL_SECONDS = 2.0
_CONFIRM_TIMEOUT_SECONDS = 3600.0
_TIMEOUT = httpx2.Timeout(120, connect=5)
_ENDED = {"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"}
_AGAIN = "run the same command again: it goes on where it stopped"


class Stuck(WarehouseError):
    """The server does not finish task {task_id}, which confirms uploads."""

    hint = "Are workers running? See `GET /v1/tasks/{task_id}`; then run the same command again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A file that is an object now."""

    file: FileFound
    object_id: str


def send(server: Server, bucket_id: str, files: Sequence[FileFound], *, at_once: int) -> Iterator[list[Sent | Left]]:
    """Send files, `at_once` at a time; yield what became of each, group by group, in order; raise as `Server` does."""
    with httpx2.Client(timeout=_TIMEOUT, trust_env=False) as http:
        pool = ThreadPoolExecutor(at_once, thread_name_prefix="upload")
        try:
            for start in range(0, len(files), _AT_ONCE):
                yield _Group(server, f"/v1/buckets/{bucket_id}/uploads", files[start : start + _AT_ONCE]).send(
                    http, pool
                )
        finally:
            # Broken off by Ctrl-C, files that wait are not sent any more.
            pool.shutdown(cancel_futures=True)


class _Group:
    """Files that go together."""

    def __init__(self, server: Server, path: str, files: Sequence[FileFound]) -> None:
        self._server = server
        self._path = path
        self._files = files
        self._outcome: dict[str, Sent | Left] = {}

    def send(self, http: httpx2.Client, pool: ThreadPoolExecutor) -> list[Sent | Left]:
        uploads = self._created()
        puts = [(file, upload, pool.submit(_put, http, file, upload["presigned_url"])) for file, upload in uploads]
        there: list[tuple[FileFound, str]] = []
        for file, upload, put in puts:
            fault = put.result()
            if fault is None:
                there.append((file, upload["upload_id"]))
            else:
                self._outcome[file.path] = fault
        self._confirm(there)
        return [self._outcome[file.path] for file in self._files]

    def _created(self) -> list[tuple[FileFound, Mapping[str, Any]]]:
        """Return the new uploads. One file at fault refuses all of a request, so then each is asked for alone."""
        try:
            answer = self._server.post(f"{self._path}/batch", {"uploads": [_request(file) for file in self._files]})
            return list(zip(self._files, answer["uploads"], strict=True))
        except Refused:
            made: list[tuple[FileFound, Mapping[str, Any]]] = []
            for file in self._files:
                try:
                    made.append((file, self._server.post(self._path, _request(file))))
                except Refused as error:
                    self._fail(file, error.message, "change what it names, then run the command again")
            return made

    def _confirm(self, there: Sequence[tuple[FileFound, str]]) -> None:
        if not there:
            return
        confirmations = [{"upload_id": upload_id} for _, upload_id in there]
        receipt = self._server.post(f"{self._path}/confirm/batch?policy=upsert", {"confirmations": confirmations})
        outputs = {each["upload_id"]: each for each in self._ended(receipt["task_id"])["outputs"] or ()}
        for file, upload_id in there:
            output = outputs.get(upload_id, {})
            if output.get("object_id"):
                self._outcome[file.path] = Sent(file=file, object_id=output["object_id"])
            else:
                error = output.get("error") or {}
                self._fail(file, error.get("message") or output.get("message") or "it was not confirmed", _AGAIN)

    def _ended(self, task_id: str) -> Mapping[str, Any]:
        deadline = time.monotonic() + _CONFIRM_TIMEOUT_SECONDS
        pause = _POLL_SECONDS
        while time.monotonic() < deadline:
            task = self._server.get(f"/v1/tasks/{task_id}")
            if task["status"] in _ENDED:
                return task
            time.sleep(pause)
            pause = min(1.5 * pause, _LONGEST_POLL_SECONDS)
        raise Stuck(task_id=task_id)

    def _fail(self, file: FileFound, reason: str, next_step: str) -> None:
        self._outcome[file.path] = Left(path=file.path, reason=printable(reason), next_step=next_step, failed=True)


def _request(file: FileFound) -> dict[str, Any]:
    name = "".join(c if c.isprintable() and c not in "\\/" else "_" for c in file.place.name)
    return {
        "filename": name[-_LONGEST_FILENAME:],
        "content_type": file.mime,
        "file_size_bytes": file.size_bytes,
        "file_hash": file.sha256,
        "presigned_url_expiration": _EXPIRATION_SECONDS,
        "blob_property": file.medium,
        "object_metadata": {"path": file.path, "kind": file.kind, "content_hash": file.sha256},
        # The same bytes may be two files.
        "skip_duplicates": False,
    }


def _put(http: httpx2.Client, file: FileFound, url: str) -> Left | None:
    """Put a file; return why it could not be."""
    headers = {b"Content-Type": file.mime.encode(), b"Content-Length": str(file.size_bytes).encode()}
    try:
        with file.place.open("rb") as stream:
            answer = http.put(url, content=stream, headers=headers)
    except OSError as error:
        reason = f"it cannot be read any more: {error.strerror or error}"
        return Left(path=file.path, reason=printable(reason), next_step="check its permissions", failed=True)
    except httpx2.ConnectError as error:
        raise Unreachable(url=str(error.request.url.copy_with(raw_path=b"/")), reason=str(error)) from error
    except httpx2.HTTPError as error:
        reason = f"the upload broke off: {error or type(error).__name__}"
        return Left(path=file.path, reason=printable(reason), next_step=_AGAIN, failed=True)
    if answer.is_success:
        return None
    return Left(
        path=file.path, reason=f"storage answered {answer.status_code} to the upload", next_step=_AGAIN, failed=True
    )

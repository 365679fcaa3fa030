"""The story of an ingestion: look, settle, send, process, tell."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from prismhouse.cli.batch.server import Server
from prismhouse.cli.batch.watch import watch
from prismhouse.cli.ingest.files import FileFound, Left, Walked, hashed, walk
from prismhouse.cli.ingest.known import Known, known, pages
from prismhouse.cli.ingest.place import Place, catalogue, settle
from prismhouse.cli.ingest.recipes import KINDS, recipes
from prismhouse.cli.ingest.summary import Summary
from prismhouse.cli.ingest.upload import Sent, send
from prismhouse.cli.words import counted, printable
from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["Wanted", "ingest"]

_MOST_FILES = 50_000
_PAGE = 100
_MOST_LOOKED_AT = 1_000
_RUNNING = {"QUEUED", "PROCESSING", "PENDING", "IN_PROGRESS"}
_AGAIN = "Broken off. Run the same command again: it goes on where it stopped."


class NoFolder(WarehouseError):
    """{folder} is no folder that can be read: {reason}."""

    code = Code.BAD_REQUEST
    hint = "Name a folder with files."


class TooMany(WarehouseError):
    """{folder} has {number} files, more than the {limit} that one batch takes."""

    code = Code.BAD_REQUEST
    hint = "Ingest its folders one by one."


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What was asked for."""

    folder: Path
    namespace: str
    bucket: str | None
    collections: str | None
    dry_run: bool
    retry_failed: bool
    uploads_at_once: int
    transcribe: bool
    limit_bytes: int
    more: Sequence[str] = ()


@dataclass(slots=True)
class _Work:
    """Files by what is to be done with them; the objects of this folder's files by path."""

    new: list[FileFound] = field(default_factory=list)
    objects: dict[str, str] = field(default_factory=dict)
    unchanged: list[FileFound] = field(default_factory=list)
    failed_before: list[tuple[FileFound, Known]] = field(default_factory=list)
    older: list[Known] = field(default_factory=list)


def ingest(server: Server, wanted: Wanted) -> int:
    """Make the files searchable and print what became of each; return 0 unless a file failed."""
    server.get("/v1/namespaces", limit=1)
    summary = Summary(sys.stdout)
    folder, walked = _walked(wanted)
    usable = recipes(catalogue(server), transcribe=wanted.transcribe)
    files = _of_a_kind(walked, usable)
    summary.left(walked.left)
    if wanted.dry_run or not files:
        summary.dry(files, folder)
        return summary.code
    try:
        place = settle(
            server,
            wanted.namespace,
            folder,
            bucket=wanted.bucket,
            prefix=wanted.collections,
            transcribe=wanted.transcribe,
            kinds={file.kind for file in files},
            more=wanted.more,
        )
        return _fill(server, wanted, place, _accepted(files, place, summary), summary)
    except KeyboardInterrupt:
        if not summary.watching:
            summary.say(_AGAIN)
        raise


def _walked(wanted: Wanted) -> tuple[Path, Walked]:
    try:
        folder = wanted.folder.resolve(strict=True)
        walked = walk(folder, limit_bytes=wanted.limit_bytes)
    except OSError as error:
        raise NoFolder(folder=wanted.folder, reason=error.strerror or error) from error
    if len(walked.files) > _MOST_FILES:
        raise TooMany(folder=folder, number=len(walked.files), limit=_MOST_FILES)
    return folder, walked


def _of_a_kind(walked: Walked, kinds: Collection[str]) -> list[FileFound]:
    """Return the files of which something can be made, and note of the others why not."""
    for file in walked.files:
        if file.kind not in kinds:
            reason = (
                f"the server has no extractor for {file.kind}" if file.kind in KINDS else f"nothing reads {file.mime}"
            )
            walked.left.append(Left(path=file.path, reason=reason))
    return [file for file in walked.files if file.kind in kinds]


def _accepted(files: Sequence[FileFound], place: Place, summary: Summary) -> list[FileFound]:
    refused = [file for file in files if file.kind in place.refused]
    summary.left(
        [
            Left(path=file.path, reason=printable(place.refused[file.kind]), next_step="set what it names", failed=True)
            for file in refused
        ]
    )
    return [file for file in files if file.kind in place.collections]


def _fill(server: Server, wanted: Wanted, place: Place, files: Sequence[FileFound], summary: Summary) -> int:
    for made in place.made:
        summary.say(f"made {made}")
    for name, reason in place.left_out.items():
        summary.say(f"left out {name}: {printable(reason)}")
    _earlier(server, place, summary)
    there = known(server, place.bucket_id)
    work = _sorted(_with_hashes(files, wanted.uploads_at_once, summary), there, wanted)
    _found_all_the_same(server, place, work, summary)
    if work.new:
        size = sum(file.size_bytes for file in work.new)
        summary.say(f"sending {counted(len(work.new), 'file')}, {size / 2**20:.1f} MiB, to bucket {place.bucket_name}")
        for group in send(server, place.bucket_id, work.new, at_once=wanted.uploads_at_once):
            work.objects |= {each.file.path: each.object_id for each in group if isinstance(each, Sent)}
            summary.left([each for each in group if isinstance(each, Left)])
            summary.progress(len(group), len(work.new))
    documents = 0
    if work.objects:
        everything = [*place.collections.values(), *place.more.keys()]
        documents += _processed(server, place, work.objects, everything, summary)
    again = {file.path: there[file.path, file.sha256].object_id for file in work.unchanged if file.kind in place.new}
    if again:
        new = [collection_id for ids in place.new.values() for collection_id in ids]
        summary.say(f"{counted(len(again), 'file')} that did not change: through the new collections")
        documents += _processed(server, place, again, new, summary)
    replaced = _replaced(server, place, work)
    for file, before in work.failed_before:
        summary.failed_before(file.path, before.error)
    summary.end(
        namespace=wanted.namespace,
        files=[file for file in files if file.path in work.objects],
        documents=documents,
        unchanged=len(work.unchanged),
        replaced=replaced,
    )
    return summary.code


def _earlier(server: Server, place: Place, summary: Summary) -> None:
    """Follow what earlier runs have left running in the bucket."""
    for batch in pages(server, f"/v1/buckets/{place.bucket_id}/batches/list", {}):
        if batch["status"] in _RUNNING:
            summary.say("an earlier batch still runs")
            with summary.watched():
                watch(server, batch["batch_id"], failures=False)


def _with_hashes(files: Sequence[FileFound], at_once: int, summary: Summary) -> list[FileFound]:
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="hash")
    try:
        read = [(file, pool.submit(hashed, file)) for file in files]
        made = []
        for file, digest in read:
            try:
                made.append(replace(file, sha256=digest.result()))
            except OSError as error:
                reason = printable(f"it cannot be read: {error.strerror or error}")
                summary.left([Left(path=file.path, reason=reason, next_step="check its permissions", failed=True)])
        return made
    finally:
        pool.shutdown(cancel_futures=True)


def _sorted(files: Sequence[FileFound], there: Mapping[tuple[str, str], Known], wanted: Wanted) -> _Work:
    work = _Work()
    current = {(file.path, file.sha256) for file in files}
    paths = {file.path for file in files}
    work.older = [each for key, each in there.items() if each.path in paths and key not in current]
    for file in files:
        before = there.get((file.path, file.sha256))
        if before is None:
            work.new.append(file)
        elif before.waits or (before.status == "FAILED" and wanted.retry_failed):
            work.objects[file.path] = before.object_id
        elif before.status == "FAILED":
            work.failed_before.append((file, before))
        else:
            work.unchanged.append(file)
    return work


def _found_all_the_same(server: Server, place: Place, work: _Work, summary: Summary) -> None:
    """Count files as unchanged that failed in a further extractor, and can be found by what their own made of them."""
    for file, before in work.failed_before[:_MOST_LOOKED_AT]:
        collection = place.collections.get(file.kind)
        of_it = {"AND": [{"field": "root_object_id", "operator": "eq", "value": before.object_id}]}
        body = {"filters": of_it, "limit": 1}
        if collection and server.post(f"/v1/collections/{collection}/documents/list", body)["results"]:
            work.unchanged.append(file)
            summary.partial_before(file.path, before.error)
    found = set(work.unchanged)
    work.failed_before = [(file, before) for file, before in work.failed_before if file not in found]


def _processed(
    server: Server, place: Place, objects: Mapping[str, str], collections: Sequence[str], summary: Summary
) -> int:
    """Send objects, which are given by path, through collections; return how many documents came of it."""
    body = {
        "object_ids": list(objects.values()),
        "collection_ids": list(collections),
        "batch_name": f"ingest {place.bucket_name}"[:256],
    }
    path = f"/v1/buckets/{place.bucket_id}/batches"
    batch_id = server.post(path, body)["batch_id"]
    server.post(f"{path}/{batch_id}/submit", {})
    with summary.watched():
        watch(server, batch_id, failures=False)
    batch = server.get(f"{path}/{batch_id}")
    _told(server, f"{path}/{batch_id}", place, batch, objects, summary)
    return int(batch["documents_written"] or 0)


def _told(
    server: Server, path: str, place: Place, batch: Mapping[str, Any], objects: Mapping[str, str], summary: Summary
) -> None:
    """Note what became of each object of the batch that is no success."""
    names = {object_id: path for path, object_id in objects.items()}
    explained = set()
    failures = list(_failures(server, f"{path}/failed-documents"))
    failed = {row["object_id"] for row in failures if row["collection_id"] not in place.more}
    for row in failures:
        explained.add(row["object_id"])
        name = names.get(row["object_id"], str(row["object_id"]))
        if row["collection_id"] not in place.more:
            summary.failure(name, row["code"], row["error"])
        elif row["object_id"] not in failed:
            # It can be found by what its first extractor made of it.
            summary.partial(name, place.more[row["collection_id"]], row["error"])
    for each in batch.get("partial_objects") or ():
        path_of = names.get(each["object_id"], str(each["object_id"]))
        summary.partial(path_of, str(each["missing_feature"]), str(each["error"]))
    if (batch["status_diagnostics"] or {}).get("rows_skipped"):
        for object_id in [object_id for object_id in names if object_id not in explained][:_MOST_LOOKED_AT]:
            shown = server.get(f"/v1/buckets/{place.bucket_id}/objects/{object_id}")
            if shown["document_count"] == 0:
                explained.add(object_id)
                summary.empty(names[object_id])
    if batch["status"] == "CANCELED" or (batch["status"] == "FAILED" and names.keys() - explained):
        summary.broken(batch["batch_id"], batch["status"], batch.get("failure_reason"))


def _failures(server: Server, path: str) -> Iterator[Mapping[str, Any]]:
    offset = 0
    while True:
        page = server.get(path, offset=offset, limit=_PAGE)
        yield from page["results"]
        offset += len(page["results"])
        if not page["results"] or offset >= page["total"]:
            return


def _replaced(server: Server, place: Place, work: _Work) -> int:
    """Delete what was made of former contents of files whose present content can be searched."""
    if not work.older:
        return 0
    former = {each.object_id for each in work.older}
    objects = known(server, place.bucket_id).values()
    done = {each.path for each in objects if each.status == "COMPLETED" and each.object_id not in former}
    gone = [each for each in work.older if each.path in done]
    for each in gone:
        server.delete(f"/v1/buckets/{place.bucket_id}/objects/{each.object_id}")
    return len(gone)

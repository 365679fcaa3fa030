"""A batch on a real server that is disturbed in the middle, and what must be there in the end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from conditions import eventually
from tests.running import Api

OBJECTS = 200
WORDS_PER_DOCUMENT = 60
QUICK = {"PRISMHOUSE_WORKER__CHUNK_ROWS": "10"}
_NAMES = {
    "postgres": lambda command: "/postgres " in command and ": " not in command,
    "worker": lambda command: command.endswith(("prismhouse worker-process", "prismhouse worker")),
    "api": lambda command: command.endswith("prismhouse api-process"),
    "extraction": lambda command: "storage.compute.child" in command,
    "bridge": lambda command: "storage.compute.ray.bridge" in command,
}


def processes_under(pid: int) -> dict[int, str]:
    """Return pid -> command line of a process and everything below it."""
    found: dict[int, str] = {}
    waiting = [pid]
    while waiting:
        pid = waiting.pop()
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except FileNotFoundError:
            continue
        waiting += [int(child) for child in children]
    return found


def victims(pid: int, *kinds: str) -> list[int]:
    """Return the processes of those kinds under a supervisor or worker: `postgres` is the postmaster alone."""
    found = processes_under(pid)
    chosen = [number for number, command in found.items() if any(_NAMES[kind](command) for kind in kinds)]
    assert chosen, found
    return chosen


def kill(pids: Iterable[int]) -> None:
    """End processes without a word."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def text_of(number: int) -> str:
    """Return one of the texts, all different and of the same length."""
    return f"Note {number}: " + " ".join(f"word{(number * 7 + k) % 97} of the story" for k in range(40))


class Flow:
    """Objects, a collection and a batch of them all."""

    def __init__(self, api: Api) -> None:
        self.api = api
        schema = {"properties": {"t": {"type": "text"}}}
        self.bucket = api.ok("POST", "/v1/buckets", {"bucket_name": "b", "bucket_schema": schema})["bucket_id"]
        self.ids: list[str] = []
        for start in range(0, OBJECTS, 100):
            blobs = [[{"property": "t", "type": "text", "data": text_of(n)}] for n in range(start, start + 100)]
            body = {"objects": [{"blobs": blob} for blob in blobs]}
            made = api.ok("POST", f"/v1/buckets/{self.bucket}/objects/batch", body)
            self.ids += [item["object_id"] for item in made["succeeded"]]
        extractor = {
            "feature_extractor_name": "text_extractor",
            "version": "v1",
            "input_mappings": {"text": "t"},
            "parameters": {"split_by": "words", "chunk_size": WORDS_PER_DOCUMENT},
        }
        source = {"type": "bucket", "bucket_ids": [self.bucket]}
        body = {"collection_name": "chunks", "source": source, "feature_extractor": extractor}
        api.ok("POST", "/v1/collections", body)
        made = api.ok("POST", f"/v1/buckets/{self.bucket}/batches", {"object_ids": self.ids, "auto_submit": True})
        self.batch: str = made["batch_id"]

    def read(self) -> dict[str, Any]:
        """Return the batch, or a status of our own while nobody answers."""
        at = f"/v1/buckets/{self.bucket}/batches/{self.batch}"
        return self.api.ok_or_none("GET", at) or {"status": "UNREACHABLE"}

    def wait_until_midway(self) -> None:
        """Return when documents are written and more are to come."""
        midway = eventually(
            self.read,
            until=lambda batch: bool(batch.get("documents_written")) or batch["status"] not in {"QUEUED", "PROCESSING"},
        )
        assert midway["status"] == "PROCESSING", "the batch ended before the disturbance; make it larger"

    def check_end(self, timeout_seconds: float = 120) -> None:
        """Wait for the end; every document must be there, and once."""
        moving = {"QUEUED", "PROCESSING", "UNREACHABLE"}
        ended = eventually(
            self.read, until=lambda batch: batch["status"] not in moving, timeout_seconds=timeout_seconds
        )
        assert ended["status"] == "COMPLETED", ended
        documents = self.api.pages("/v1/collections/chunks/documents/list")
        pieces: dict[str, list[int]] = {}
        for document in documents:
            root = document["_internal"]["lineage"]["root_object_id"]
            pieces.setdefault(root, []).append(document["chunk_index"])
        expected = list(range(-(-len(text_of(0).split()) // WORDS_PER_DOCUMENT)))
        assert set(pieces) == set(self.ids)
        assert all(sorted(found) == expected for found in pieces.values())
        assert ended["documents_written"] == len(documents) == len(expected) * OBJECTS

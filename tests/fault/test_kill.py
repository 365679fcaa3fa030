"""kill -9 in the middle of a batch: nothing acknowledged is lost, nothing happens twice."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from conditions import eventually

OBJECTS = 200


def processes_of(server) -> dict[int, str]:
    """Return pid -> command line of every process under the server's supervisor."""
    found: dict[int, str] = {}
    waiting = [server.process.pid]
    while waiting:
        pid = waiting.pop()
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except FileNotFoundError:
            continue
        waiting += [int(child) for child in children]
    return found


def victims(server, kind: str) -> list[int]:
    """Return the pids to kill: `worker` and `api` are our children, `postgres` is the postmaster."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    commands = processes_of(server)
    named = {
        "postgres": lambda command: "/postgres " in command,
        "worker": lambda command: "prismhouse" in command and "worker" in command,
        "api": lambda command: "prismhouse" in command and "api" in command.rsplit("prismhouse", 1)[1],
    }
    return [int(pid) for pid in children if named[kind](commands.get(int(pid), ""))]


def text_of(number: int) -> str:
    return f"Note {number}: " + " ".join(f"word{(number * 7 + k) % 97} of the story" for k in range(40))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", ["worker", "api", "postgres"])
def test_batch_completes_exactly_once_when_a_process_is_killed(private_server, api_of, unique_name, kind):
    server = private_server(PRISMHOUSE_WORKER__CHUNK_ROWS="10", PRISMHOUSE_WORKER__STALLED_AFTER_SECONDS="3")
    api = api_of(server, unique_name)
    bucket = api.ok(
        "POST", "/v1/buckets", {"bucket_name": "b", "bucket_schema": {"properties": {"t": {"type": "text"}}}}
    )["bucket_id"]
    ids = []
    for start in range(0, OBJECTS, 100):
        blobs = [[{"property": "t", "type": "text", "data": text_of(n)}] for n in range(start, start + 100)]
        made = api.ok("POST", f"/v1/buckets/{bucket}/objects/batch", {"objects": [{"blobs": b} for b in blobs]})
        ids += [item["object_id"] for item in made["succeeded"]]
    api.ok(
        "POST",
        "/v1/collections",
        {
            "collection_name": "chunks",
            "source": {"type": "bucket", "bucket_ids": [bucket]},
            "feature_extractor": {
                "feature_extractor_name": "text_extractor",
                "version": "v1",
                "input_mappings": {"text": "t"},
                "parameters": {"split_by": "words", "chunk_size": 60},
            },
        },
    )
    batch = api.ok("POST", f"/v1/buckets/{bucket}/batches", {"object_ids": ids})["batch_id"]
    api.ok("POST", f"/v1/buckets/{bucket}/batches/{batch}/submit")

    def read() -> dict:
        return api.ok_or_none("GET", f"/v1/buckets/{bucket}/batches/{batch}") or {"status": "UNREACHABLE"}

    midway = eventually(
        read, until=lambda b: (b.get("documents_written") or 0) > 0 or b["status"] not in {"QUEUED", "PROCESSING"}
    )
    assert midway["status"] == "PROCESSING", "the batch ended before the kill; make it larger"
    killed = victims(server, kind)
    assert killed, processes_of(server)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)

    ended = eventually(
        read, until=lambda b: b["status"] not in {"QUEUED", "PROCESSING", "UNREACHABLE"}, timeout_seconds=180
    )

    assert ended["status"] == "COMPLETED", ended
    documents = api.pages("/v1/collections/chunks/documents/list")
    roots: dict[str, list[int]] = {}
    for document in documents:
        roots.setdefault(document["_internal"]["lineage"]["root_object_id"], []).append(document["chunk_index"])
    assert set(roots) == set(ids)
    words = len(text_of(0).split())
    expected = list(range(-(-words // 60)))
    assert all(sorted(found) == expected for found in roots.values())
    assert len(documents) == len(expected) * OBJECTS
    assert ended["documents_written"] == len(documents)

"""Every extractor that has a model: files a second through the product, against the bare model on the same threads.

Product: objects with their files stand in a bucket of a running server with default settings; the clock runs from the
submit of their batch until its `completed_at`, so it holds planning, jobs, decoding, models, thumbnails and other files
of documents, the writes of documents and vectors, the ledger and the progress. Bare: as many processes as the product
computes in, each with one thread, which take the next files as soon as they are done; `bench.subjects` says for each
extractor what they do, and the notes repeat it. They decode and run the models; nothing is stored.

What else the extractor does counts as the product's: splitting into rows, thumbnails, the search for cuts or for moving
writing, robots.txt and the fetching of pages. passthrough_extractor has no model to be held against: `bench.engine` has
its rate. multimodal_extractor v1 and v2 are one class that takes other inputs.

Both are warm: models are loaded before the clock runs. Rounds alternate, each with files of its own that differ from
all others, and the medians are compared. Each extractor has a server of its own. A last half round through it, which is
not timed, sums the memory of all its processes four times a second (proportional set size: pages that processes share
count once); what it took before, without a model, is in it. In the timed rounds nobody looks at memory: while its pages
are counted, a process halts, which took 2 % of the photos a second. Processor time counts all processes of the server,
PostgreSQL too; other work on the machine lengthens it less than wall time.

`--only NAME` measures some again, and keeps them beside the others with their own time and commit.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

from bench.bare import BareLoop
from bench.harness import Part, Report, run_alone, wait_until_quiet
from bench.processes import memory_mb, processor_seconds
from bench.setting import Setting
from bench.subjects import SUBJECTS, Subject
from prismhouse.cli.demo.house import House
from prismhouse.engine.media.sniff import sniff

ROUNDS = 3
QUIET_SECONDS = 20.0
LOOK_SECONDS = 0.5
MEMORY_LOOK_SECONDS = 0.25
MOST_CALL_BYTES = 8 << 20
MOST_CALL_OBJECTS = 100
WARM_PARTS = 8
TERMINAL_STATES = {"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"}
NOTE = (
    "passthrough_extractor has no model to be held against: its rate is that of rows without a model, in Engine below;"
    " multimodal_extractor v1 and v2 are one class that takes other inputs"
)
Pair = tuple[tuple[float, float], tuple[float, dict[str, float]]]
"""Seconds and processor time of the bare loop, then of the product."""


class Side:
    """A server with a bucket and a collection of one extractor."""

    def __init__(self, house: House, subject: Subject, setting: Setting) -> None:
        self._house, self._subject, self._setting = house, subject, setting
        name, version = subject.extractor
        reference = {"feature_extractor_name": name, "version": version}
        body = {"namespace_name": f"bench-{time.monotonic_ns()}", "feature_extractors": [reference]}
        house.enter(house.post("/namespaces", body)["namespace_id"])
        schema = {"properties": {kind: {"type": kind} for kind in subject.inputs}}
        self._bucket_id: str = house.post("/buckets", {"bucket_name": "files", "bucket_schema": schema})["bucket_id"]
        extractor = {
            **reference,
            "input_mappings": {name: kind for kind, name in subject.inputs.items()},
            "parameters": dict(subject.parameters),
        }
        source = {"type": "bucket", "bucket_ids": [self._bucket_id]}
        house.post("/collections", {"collection_name": "made", "source": source, "feature_extractor": extractor})

    def draft(self, paths: Sequence[Path]) -> str:
        """Send files and return the path of a batch of them, which is not submitted."""
        object_ids: list[str] = []
        for objects in _calls([self._object(path) for path in paths]):
            made = self._house.post(f"/buckets/{self._bucket_id}/objects/batch", {"objects": objects})
            object_ids += [each["object_id"] for each in made["succeeded"]]
        batches = f"/buckets/{self._bucket_id}/batches"
        return f"{batches}/{self._house.post(batches, {'object_ids': object_ids})['batch_id']}"

    def seconds(self, path: str) -> tuple[float, dict[str, float]]:
        """Return the seconds of a batch, from submit to COMPLETED, and the processor time by kind of process."""
        spent, began = processor_seconds(self._house.pid), datetime.now(UTC)
        for _ in self._looks(path):
            time.sleep(LOOK_SECONDS)
        ended = self._house.get(f"/analytics/performance/batches/{path.rpartition('/')[2]}/diagnostics")["completed_at"]
        seconds = (datetime.fromisoformat(ended) - began).total_seconds()
        return seconds, {kind: now - spent.get(kind, 0.0) for kind, now in processor_seconds(self._house.pid).items()}

    def peak_mb(self, path: str) -> dict[str, int]:
        """Return the most memory that a batch takes, by kind of process."""
        peaks: dict[str, float] = {}
        for _ in self._looks(path):
            for kind, size in memory_mb(self._house.pid).items():
                peaks[kind] = max(size, peaks.get(kind, 0.0))
            time.sleep(MEMORY_LOOK_SECONDS)
        return {kind: round(size) for kind, size in sorted(peaks.items())}

    def _looks(self, path: str) -> Iterator[None]:
        """Submit a batch, and yield until it is COMPLETED."""
        self._house.post(f"{path}/submit")
        while (batch := self._house.get(path))["status"] not in TERMINAL_STATES:
            yield
        if batch["status"] != "COMPLETED":
            failed = self._house.get(f"{path}/failed-documents")["results"][:3]
            raise SystemExit(f"The batch is {batch['status']}: {failed}")

    def _object(self, path: Path) -> dict[str, Any]:
        data, given = path.read_bytes(), self._setting.given
        found: str = sniff(data).kind
        kind = found if found in self._subject.inputs else next(reversed(self._subject.inputs))
        if given is not None:
            return {kind: given(path)}
        shown: Any = data.decode() if kind == "text" else {"base64": base64.b64encode(data).decode()}
        return {"blobs": [{"property": kind, "type": kind, "data": shown}]}


def measure(options: argparse.Namespace) -> int:
    """Measure the chosen extractors one after the other."""
    chosen = {name: SUBJECTS[name] for name in options.only or SUBJECTS}
    report = Report("extractors", f"{options.rounds} rounds of each side, each with files that neither has seen")
    processes = len(os.sched_getaffinity(0))
    report.figure("processes of the bare loops, and of the product", processes)
    began = time.perf_counter()
    for name, subject in chosen.items():
        count = max(4, round(subject.count * options.scale))
        part = report.part(name, f"{count} {subject.each}")
        _measured(part, subject, count=count, rounds=options.rounds, processes=processes)
    report.figure("whole measurement", round(time.perf_counter() - began), "s")
    report.note(NOTE)
    is_whole = (options.scale, options.rounds) == (1.0, ROUNDS)
    return report.finish(check=options.check, keep=is_whole, of=list(SUBJECTS))


def _measured(part: Part, subject: Subject, *, count: int, rounds: int, processes: int) -> None:
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="prismhouse-bench-") as work:
        folder = Path(work)
        loop = BareLoop(subject.bare, files=subject.bare_files, processes=processes, folder=folder / "models")
        with subject.setting(folder) as setting, House(folder / "data") as house, loop:
            with patch.dict(os.environ, setting.environment):
                house.start()
            side = Side(house, subject, setting)
            warm = _written(subject.files(max(4, count // WARM_PARTS, processes * subject.kinds), 0), folder / "warm")
            loop.warm(warm[: max(subject.bare_files + 1, subject.kinds)])
            side.seconds(side.draft(warm))
            pairs = [_round(subject, side, loop, count, folder / str(number)) for number in range(1, rounds + 1)]
            peaks = side.peak_mb(side.draft(_written(subject.files(count // 2, rounds + 1), folder / "last")))
            house.stop()
    _told(part, subject, pairs, peaks, count)
    part.figure("measured in", round(time.perf_counter() - began), "s")


def _told(part: Part, subject: Subject, pairs: Sequence[Pair], peaks: Mapping[str, int], count: int) -> None:
    bare, product = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    unit = f"{subject.each.split(' ')[0].removesuffix(':')}/s"
    part.figure("bare", [round(count / wall, 2) for wall, _ in bare], unit)
    part.figure("product", [round(count / wall, 2) for wall, _ in product], unit)
    part.figure("a round through the product", round(median(wall for wall, _ in product), 1), "s")
    alone = median(spent for _, spent in bare)
    spent = {kind: median(one[kind] for _, one in product) / count * 1000 for kind in sorted(product[0][1])}
    part.figure("bare, processor time of a file", round(alone / count * 1000, 1), "ms")
    part.figure("product, processor time of a file", {kind: round(each, 1) for kind, each in spent.items()}, "ms")
    part.figure("peak memory", dict(peaks), "MB")
    ratio = median(wall for wall, _ in bare) / median(wall for wall, _ in product)
    part.bound("ratio to the bare model", round(ratio, 3), "at least", subject.least_ratio)
    part.bound("peak memory of all processes, MB", peaks["all"], "at most", subject.most_memory_mb)
    part.note(subject.contains)


def _round(subject: Subject, side: Side, loop: BareLoop, count: int, folder: Path) -> Pair:
    """Return what the bare loop and the product took for files that neither has seen."""
    paths = _written(subject.files(count, int(folder.name)), folder)
    path = side.draft(paths)
    wait_until_quiet(timeout_seconds=QUIET_SECONDS)
    # Who goes first changes, so that what slows the machine down in time meets both.
    if int(folder.name) % 2:
        bare = loop.seconds(paths)
        return bare, side.seconds(path)
    product = side.seconds(path)
    return loop.seconds(paths), product


def _written(files: Sequence[bytes], folder: Path) -> list[Path]:
    folder.mkdir(parents=True)
    paths = [folder / f"{number:05}" for number in range(len(files))]
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    return paths


def _calls(objects: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield the objects in groups that a request may hold."""
    group: list[dict[str, Any]] = []
    size = 0
    for each in objects:
        length = len(json.dumps(each))
        if group and (size + length > MOST_CALL_BYTES or len(group) == MOST_CALL_OBJECTS):
            yield group
            group, size = [], 0
        group.append(each)
        size += length
    if group:
        yield group


if __name__ == "__main__":
    run_alone(
        measure,
        __doc__ or "",
        {"name": "--rounds", "type": int, "default": ROUNDS, "help": "rounds of each side"},
        {"name": "--scale", "type": float, "default": 1.0, "help": "part of the files, to try it out"},
        {"name": "--only", "nargs": "+", "choices": list(SUBJECTS), "help": "these extractors alone"},
    )

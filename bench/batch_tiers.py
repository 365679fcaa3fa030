"""A batch of 10,000 texts through three tiers: all accounted for, progress, memory, speed against the bare model.

Tiers: `articles` (text_extractor, a vector for each text), `sentences` (text_extractor on their text, a vector for each
sentence), `shelf` (passthrough_extractor on the sentences, without a model). Product: objects stand in a bucket; the
clock runs from the submit of their batch until it reads COMPLETED. Bare loop: `MiniLM.embed` on the same texts and the
same sentences, 32 at a time in the order in which they arrive, in one process whose session has as many threads as the
product's compute processes have together; nothing is stored, and the third tier costs it nothing.

Once a second the batch is read as a user would, and the memory of all processes is summed (proportional set size:
pages that processes share count once).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.harness import Report, run_alone, wait_until_quiet
from bench.processes import memory_mb
from bench.texts import texts
from prismhouse.cli.demo.house import House
from prismhouse.engine.extractors.splitting import SplitRule, split
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import MINILM

__all__ = ["Run", "articles", "faults", "run", "sentences_of"]

SEED = 7
COUNT = 10_000
BARE_BATCH = 32
SAMPLE_SECONDS = 1.0
AT_ONCE = 100
NAMES = ("articles", "sentences", "shelf")
TERMINAL_STATES = {"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"}
LEAST_RATIO = 0.7
MOST_MEMORY_MB = 1500
MOST_GROWTH = 1.25
LONGEST_STANDSTILL_SECONDS = 15


@dataclass
class Run:
    """What was seen of one batch."""

    seconds: float
    batch: dict[str, Any]
    audit: dict[str, Any]
    stored: dict[str, int]
    percents: list[float] = field(default_factory=list)
    written: list[int] = field(default_factory=list)
    memory: list[dict[str, float]] = field(default_factory=list)

    def standstill(self) -> float:
        """Return the longest time in seconds in which a reader saw neither progress nor a new document."""
        seen = list(zip(self.percents, self.written, strict=True))
        longest = since = 0
        for before, after in pairwise(seen):
            since = since + 1 if before == after else 0
            longest = max(longest, since)
        return longest * SAMPLE_SECONDS

    def backwards(self) -> int:
        """Return how often progress or the count of documents went down."""
        return sum(after < before for values in (self.percents, self.written) for before, after in pairwise(values))


def articles(count: int) -> list[str]:
    """Return the texts: real prose, short enough for 10,000 of them to take minutes."""
    return texts(count, seed=SEED, median_words=20, sigma=0.6, most_words=100)


def sentences_of(given: list[str]) -> list[str]:
    """Return the sentences as the second tier cuts them."""
    return [chunk.text for text in given for chunk in split(text, SplitRule(by="sentences", size=1))]


def measure(options: argparse.Namespace) -> int:
    """Run the bare loop, then the batch, and hold what was seen against the bounds."""
    given = articles(options.count)
    sentences = sentences_of(given)
    words = sum(len(text.split()) for text in given) / len(given)
    threads = len(os.sched_getaffinity(0))
    report = Report(
        name="batch_tiers",
        data=f"{len(given)} English texts of bench.texts (seed {SEED}), {words:.0f} words on average, all different; "
        f"{len(sentences)} sentences",
    )
    report.figure("threads of the bare loop's session", threads)
    with tempfile.TemporaryDirectory(prefix="prismhouse-bench-") as folder, House(Path(folder) / "data") as house:
        wait_until_quiet()
        bare = _bare(given, sentences, threads=threads, folder=Path(folder))
        house.start()
        wait_until_quiet()
        seen = run(house, given)
        house.stop()
    vectors = len(given) + len(sentences)
    report.figure("bare loop", round(vectors / bare, 1), "vectors/s")
    report.figure("product", round(vectors / seen.seconds, 1), "vectors/s")
    report.figure("product, documents of all tiers", round(sum(seen.stored.values()) / seen.seconds, 1), "documents/s")
    report.figure("whole batch", round(seen.seconds, 1), "s")
    report.figure("documents by collection", seen.stored)
    peaks = {kind: round(max(one.get(kind, 0.0) for one in seen.memory)) for kind in seen.memory[-1]}
    report.figure("peak memory", dict(sorted(peaks.items())), "MB")
    report.figure("progress samples", len(seen.percents))
    report.figure("different values of progress seen", len(set(seen.percents)))
    wrong = faults(seen, len(given), len(sentences))
    for line in wrong:
        report.note(line)
    report.bound("rows that are not accounted for, or counted wrongly", len(wrong), "at most", 0)
    report.bound("times that progress went back", seen.backwards(), "at most", 0)
    report.bound("longest time without progress, s", seen.standstill(), "at most", LONGEST_STANDSTILL_SECONDS)
    report.bound("peak memory of all processes, MB", peaks["all"], "at most", MOST_MEMORY_MB)
    report.bound("memory of the last quarter to the second", round(_growth(seen.memory), 3), "at most", MOST_GROWTH)
    report.bound("ratio to the bare loop", round(bare / seen.seconds, 3), "at least", LEAST_RATIO)
    return report.finish(check=options.check, keep=options.count == COUNT)


def run(house: House, given: list[str]) -> Run:
    """Send the texts through the three tiers and watch them."""
    bucket_id = _pipeline(house)
    object_ids: list[str] = []
    for start in range(0, len(given), AT_ONCE):
        part = given[start : start + AT_ONCE]
        objects = [{"blobs": [{"property": "content", "type": "text", "data": text}]} for text in part]
        made = house.post(f"/buckets/{bucket_id}/objects/batch", {"objects": objects})
        object_ids += [each["object_id"] for each in made["succeeded"]]
    batches = f"/buckets/{bucket_id}/batches"
    path = f"{batches}/{house.post(batches, {'object_ids': object_ids})['batch_id']}"
    seen = Run(seconds=0.0, batch={}, audit={}, stored={})
    began = time.perf_counter()
    house.post(f"{path}/submit")
    next_sample = began
    while (batch := house.get(path))["status"] not in TERMINAL_STATES:
        if time.perf_counter() >= next_sample:
            _sample(house, batch, seen)
            next_sample += SAMPLE_SECONDS
        time.sleep(0.1)
    seen.seconds = time.perf_counter() - began
    _sample(house, batch, seen)
    seen.batch, seen.audit = batch, house.get(f"{path}/audit")
    seen.stored = {name: house.get(f"/collections/{name}")["document_count"] for name in NAMES}
    return seen


def faults(seen: Run, texts_given: int, sentences: int) -> list[str]:
    """Return a line for every count that is not what it must be."""
    expected = dict(zip(NAMES, (texts_given, sentences, sentences), strict=True))
    submitted = [texts_given, texts_given, sentences]
    tiers = seen.audit["tiers"]
    checks = {
        "status": (seen.batch["status"], "COMPLETED"),
        "documents by collection": (seen.stored, expected),
        "documents written": (seen.batch["documents_written"], sum(expected.values())),
        "rows submitted by tier": ([tier["submitted"] for tier in tiers], submitted),
        "rows processed by tier": ([tier["processed"] for tier in tiers], submitted),
        "rows failed, skipped or lost": ([tier["failed"] + tier["skipped"] + tier["lost"] for tier in tiers], [0] * 3),
        "books balance": (seen.audit["all_balanced"], True),
        "progress at the end": (seen.percents[-1], 100.0),
    }
    return [f"{name}: {found}, not {wanted}" for name, (found, wanted) in checks.items() if found != wanted]


def _sample(house: House, batch: dict[str, Any], seen: Run) -> None:
    # A batch that waits for its first chunk has no progress to tell.
    seen.percents.append(batch["progress"]["percent"] if batch["progress"] else 0.0)
    seen.written.append(batch["documents_written"] or 0)
    seen.memory.append(memory_mb(house.pid))


def _growth(memory: list[dict[str, float]]) -> float:
    """Return the peak of the last quarter to that of the second: models are loaded by then."""
    sums = [one["all"] for one in memory]
    quarter = max(1, len(sums) // 4)
    return max(sums[-quarter:]) / max(sums[quarter : 2 * quarter] or sums)


def _bare(given: list[str], sentences: list[str], *, threads: int, folder: Path) -> float:
    model: Any = loaded(MINILM, threads=threads, cache_dir=folder)
    model.embed(given[:64])
    began = time.perf_counter()
    for every in (given, sentences):
        for start in range(0, len(every), BARE_BATCH):
            model.embed(every[start : start + BARE_BATCH])
    return time.perf_counter() - began


def _pipeline(house: House) -> str:
    """Make a namespace, a bucket and the three collections; return the bucket's id."""
    extractors = [
        {"feature_extractor_name": name, "version": "v1"} for name in ("text_extractor", "passthrough_extractor")
    ]
    name = f"bench-{time.monotonic_ns()}"
    house.enter(house.post("/namespaces", {"namespace_name": name, "feature_extractors": extractors})["namespace_id"])
    schema = {"properties": {"content": {"type": "text"}}}
    bucket_id: str = house.post("/buckets", {"bucket_name": "texts", "bucket_schema": schema})["bucket_id"]
    text, keep = extractors
    by_sentence = {"split_by": "sentences", "chunk_size": 1}
    tiers: list[dict[str, Any]] = [
        {**text, "input_mappings": {"text": "content"}},
        {**text, "input_mappings": {"text": "text"}, "parameters": by_sentence},
        {**keep, "input_mappings": {"content": "text"}, "field_passthrough": [{"source_path": "text"}]},
    ]
    source: dict[str, Any] = {"type": "bucket", "bucket_ids": [bucket_id]}
    for name, extractor in zip(NAMES, tiers, strict=True):
        body = {"collection_name": name, "source": source, "feature_extractor": extractor}
        made = house.post("/collections", body)
        source = {"type": "collection", "collection_ids": [made["collection_id"]]}
    return bucket_id


if __name__ == "__main__":
    run_alone(measure, __doc__ or "", {"name": "--count", "type": int, "default": COUNT, "help": "texts"})

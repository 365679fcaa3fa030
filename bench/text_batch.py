"""Documents per second of a text batch through the whole product, against a bare loop over the same model.

Product: objects stand in a bucket; the clock runs from the submit of their batch until the batch reads COMPLETED, so it
holds planning, jobs, extraction in the compute processes, document and vector writes, the ledger and the progress.
Bare loop: `MiniLM.embed` on 32 texts at a time, in the order in which they arrive, in one process whose session has as
many threads as the product's compute processes have together. Nothing is stored. `embed` sorts the 32 by length and
runs at most 512 tokens at once, padding included. Sorted: one `embed` call with all texts, which sorts them all.
Both are warm: models are loaded before the clock runs. Rounds alternate; the medians are compared.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from bench.harness import Report, run_alone, wait_until_quiet
from bench.texts import texts
from prismhouse.cli.demo.house import House
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import MINILM

SEED = 7
COUNT = 2000
ROUNDS = 3
BARE_BATCH = 32
LEAST_RATIO = 0.85
TERMINAL_STATES = {"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"}


def measure(options: argparse.Namespace) -> int:
    """Alternate bare loops and batches."""
    given = texts(options.count, seed=SEED)
    words = sum(len(text.split()) for text in given) / len(given)
    threads = len(os.sched_getaffinity(0))
    report = Report(
        name="text_batch",
        data=f"{options.count} English texts of bench.texts (seed {SEED}), {words:.0f} words on average",
    )
    report.figure("threads of the bare loop's session", threads)
    bare, ordered, product = [], [], []
    with tempfile.TemporaryDirectory(prefix="prismhouse-bench-") as folder, House(Path(folder) / "data") as house:
        model = loaded(MINILM, threads=threads, cache_dir=Path(folder))
        model.embed(given[:64])
        house.start()
        _batch(house, _pipeline(house), given[:64])
        wait_until_quiet()
        for _ in range(options.rounds):
            bare.append(_rate(given, lambda: _bare_loop(model, given)))
            ordered.append(_rate(given, lambda: model.embed(given)))
            product.append(len(given) / _batch(house, _pipeline(house), given))
        house.stop()
    report.figure("bare_loop", [round(rate, 1) for rate in bare], "texts/s")
    report.figure("bare_loop_sorted", [round(rate, 1) for rate in ordered], "texts/s")
    report.figure("product", [round(rate, 1) for rate in product], "documents/s")
    report.figure("ratio to the sorted bare loop", round(median(product) / median(ordered), 3))
    report.bound("ratio to the bare loop", round(median(product) / median(bare), 3), "at least", LEAST_RATIO)
    return report.finish(check=options.check, keep=(options.count, options.rounds) == (COUNT, ROUNDS))


def _rate(given: list[str], work: Any) -> float:
    began = time.perf_counter()
    work()
    return len(given) / (time.perf_counter() - began)


def _bare_loop(model: Any, given: list[str]) -> None:
    for start in range(0, len(given), BARE_BATCH):
        model.embed(given[start : start + BARE_BATCH])


def _pipeline(house: House) -> str:
    """Make a namespace, a bucket and a text collection; return the bucket's id."""
    name = f"bench-{time.monotonic_ns()}"
    extractor = {"feature_extractor_name": "text_extractor", "version": "v1"}
    house.enter(house.post("/namespaces", {"namespace_name": name, "feature_extractors": [extractor]})["namespace_id"])
    schema = {"properties": {"content": {"type": "text"}}}
    bucket_id: str = house.post("/buckets", {"bucket_name": "texts", "bucket_schema": schema})["bucket_id"]
    source = {"type": "bucket", "bucket_ids": [bucket_id]}
    extractor["input_mappings"] = {"text": "content"}
    house.post("/collections", {"collection_name": "texts", "source": source, "feature_extractor": extractor})
    return bucket_id


def _batch(house: House, bucket_id: str, given: list[str]) -> float:
    """Send the texts, then time their batch from submit to COMPLETED."""
    object_ids: list[str] = []
    for start in range(0, len(given), 100):
        objects = [
            {"blobs": [{"property": "content", "type": "text", "data": text}]} for text in given[start : start + 100]
        ]
        made = house.post(f"/buckets/{bucket_id}/objects/batch", {"objects": objects})
        object_ids += [each["object_id"] for each in made["succeeded"]]
    batches = f"/buckets/{bucket_id}/batches"
    path = f"{batches}/{house.post(batches, {'object_ids': object_ids})['batch_id']}"
    began = time.perf_counter()
    house.post(f"{path}/submit")
    while (batch := house.get(path))["status"] not in TERMINAL_STATES:
        time.sleep(0.1)
    seconds = time.perf_counter() - began
    if (batch["status"], batch["documents_written"]) != ("COMPLETED", len(given)):
        raise SystemExit(f"The batch is {batch['status']} with {batch['documents_written']} documents.")
    return seconds


if __name__ == "__main__":
    run_alone(
        measure,
        __doc__ or "",
        {"name": "--count", "type": int, "default": COUNT, "help": "texts"},
        {"name": "--rounds", "type": int, "default": ROUNDS, "help": "rounds of bare loop and batch"},
    )

"""What the engine itself costs, and what a small batch waits for beside a large one of somebody else.

Overhead: objects stand in a bucket whose collection has an extractor without a model (`passthrough_extractor`). The
clock runs from the submit of their batch until the batch reads COMPLETED, so it holds planning, jobs, the way to a
compute process and back, document writes, the ledger and the progress: everything but a model.

Two tenants: each has a namespace with a text collection (MiniLM). The small one sends 10 texts: alone, again and
again; then while a batch of 5,000 texts of the large one runs. Both are warm. The medians are compared; the large
batch must have gone on meanwhile, and is cancelled in the end.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from bench.harness import Report, run_alone, wait_until_quiet
from bench.texts import texts
from prismhouse.cli.demo.house import House

SEED = 7
EMPTY_ROWS = 1000
LARGE_ROWS = 5000
SMALL_ROWS = 10
ROUNDS = 7
LEAST_EMPTY_ROWS_PER_SECOND = 500
MOST_SLOWDOWN = 2.0
PER_CALL = 100
# A look costs the server some ten milliseconds of a core.
LOOK_SECONDS = 0.03
QUIET_SECONDS = 15
TERMINAL_STATES = {"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"}


class Tenant:
    """A namespace with a bucket of texts and one collection."""

    def __init__(self, house: House, name: str, extractor: str, inputs: dict[str, str]) -> None:
        self._house = house
        reference = {"feature_extractor_name": extractor, "version": "v1"}
        body = {"namespace_name": f"{name}-{time.monotonic_ns()}", "feature_extractors": [reference]}
        self._namespace_id = house.post("/namespaces", body)["namespace_id"]
        house.enter(self._namespace_id)
        schema = {"properties": {"content": {"type": "text"}}}
        self._bucket_id: str = house.post("/buckets", {"bucket_name": "texts", "bucket_schema": schema})["bucket_id"]
        source = {"type": "bucket", "bucket_ids": [self._bucket_id]}
        more = {"input_mappings": inputs} if inputs else {"field_passthrough": [{"source_path": "content"}]}
        house.post(
            "/collections",
            {"collection_name": "texts", "source": source, "feature_extractor": {**reference, **more}},
        )

    def fill(self, given: list[str]) -> str:
        """Make objects and a draft of them; return the path of the draft."""
        self._house.enter(self._namespace_id)
        object_ids: list[str] = []
        for start in range(0, len(given), PER_CALL):
            objects = [
                {"blobs": [{"property": "content", "type": "text", "data": text}]}
                for text in given[start : start + PER_CALL]
            ]
            made = self._house.post(f"/buckets/{self._bucket_id}/objects/batch", {"objects": objects})
            object_ids += [each["object_id"] for each in made["succeeded"]]
        batches = f"/buckets/{self._bucket_id}/batches"
        return f"{batches}/{self._house.post(batches, {'object_ids': object_ids})['batch_id']}"

    def submit(self, path: str) -> None:
        """Start a draft."""
        self._house.enter(self._namespace_id)
        self._house.post(f"{path}/submit")

    def read(self, path: str) -> dict[str, Any]:
        """Return a batch."""
        self._house.enter(self._namespace_id)
        return self._house.get(path)

    def cancel(self, path: str) -> None:
        """Stop a batch."""
        self._house.enter(self._namespace_id)
        self._house.post(f"{path}/cancel")

    def seconds(self, given: list[str]) -> float:
        """Return how long a batch of the texts takes, from submit to COMPLETED."""
        path = self.fill(given)
        began = time.perf_counter()
        self.submit(path)
        while (batch := self.read(path))["status"] not in TERMINAL_STATES:
            time.sleep(LOOK_SECONDS)
        seconds = time.perf_counter() - began
        if (batch["status"], batch["documents_written"]) != ("COMPLETED", len(given)):
            raise SystemExit(f"The batch is {batch['status']} with {batch['documents_written']} documents.")
        return seconds


def measure(options: argparse.Namespace) -> int:
    """Measure the overhead, then the two tenants."""
    given = texts(LARGE_ROWS, seed=SEED)
    report = Report(
        name="engine",
        data=f"{EMPTY_ROWS} rows without a model; {LARGE_ROWS} and {SMALL_ROWS} English texts of bench.texts"
        f" (seed {SEED}) of two tenants",
    )
    with tempfile.TemporaryDirectory(prefix="prismhouse-bench-") as folder, House(Path(folder) / "data") as house:
        house.start()
        _overhead(report, house, given[:EMPTY_ROWS], rounds=options.rounds)
        _two_tenants(report, house, given, rounds=options.rounds)
        house.stop()
    return report.finish(check=options.check, keep=options.rounds == ROUNDS)


def _overhead(report: Report, house: House, given: list[str], *, rounds: int) -> None:
    tenant = Tenant(house, "empty", "passthrough_extractor", {})
    tenant.seconds(given)
    wait_until_quiet(timeout_seconds=QUIET_SECONDS)
    seconds = [tenant.seconds(given) for _ in range(rounds)]
    report.figure("rows without a model", [round(len(given) / each) for each in seconds], "rows/s")
    report.figure("overhead of a row", round(median(seconds) / len(given) * 1000, 3), "ms")
    one = [tenant.seconds(given[:1]) for _ in range(rounds)]
    report.figure("a batch of one row", round(median(one) * 1000, 1), "ms")
    rate = len(given) / median(seconds)
    report.bound("rows without a model, rows/s", round(rate, 1), "at least", LEAST_EMPTY_ROWS_PER_SECOND)


def _two_tenants(report: Report, house: House, given: list[str], *, rounds: int) -> None:
    large, small = (Tenant(house, name, "text_extractor", {"text": "content"}) for name in ("large", "small"))
    few = given[:SMALL_ROWS]
    large.seconds(given[:200])
    small.seconds(few)
    wait_until_quiet(timeout_seconds=QUIET_SECONDS)
    alone = [small.seconds(few) for _ in range(rounds)]
    path = large.fill(given)
    large.submit(path)
    while not (large.read(path)["documents_written"] or 0):
        time.sleep(0.05)
    before, began = large.read(path)["documents_written"], time.perf_counter()
    beside = [small.seconds(few) for _ in range(rounds)]
    after = large.read(path)
    went_on = (after["documents_written"] - before) / (time.perf_counter() - began)
    if after["status"] != "PROCESSING":
        raise SystemExit(f"The large batch is {after['status']}: it was not in the way.")
    large.cancel(path)
    report.figure("10 rows alone", [round(each, 3) for each in alone], "s")
    report.figure(f"10 rows beside {LARGE_ROWS:,}", [round(each, 3) for each in beside], "s")
    report.figure("the large batch meanwhile", round(went_on, 1), "documents/s")
    report.figure("slowest beside, as a multiple of the median alone", round(max(beside) / median(alone), 2))
    report.bound(
        "10 rows beside 5,000: ratio to alone", round(median(beside) / median(alone), 3), "at most", MOST_SLOWDOWN
    )


if __name__ == "__main__":
    run_alone(
        measure,
        __doc__ or "",
        {"name": "--rounds", "type": int, "default": ROUNDS, "help": "rounds of each measurement"},
    )

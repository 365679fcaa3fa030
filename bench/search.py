"""feature_search over 100,000 documents: latency over HTTP beside the same SQL alone, and recall beside an exact scan.

Latency: one client, one request at a time on one kept connection, after a pass over all queries; rounds of HTTP and
SQL take turns, so that both meet the same caches and the same machine. "HTTP" holds parsing the query
vector, authentication, the retriever, its SQL and the answer with ten documents. "SQL" is the statement that the search
stage sends, recorded from the product's own code, on one psycopg connection with the same session settings and the
same prepare mode, until all its rows are read. "Text query" adds the embedding of a short question.
Recall: how many of the exact ten nearest (float32, brute force in numpy) are among the ten answers, on average.
Data: clustered vectors, written by the product's own set-based writes, indexed by the product's own function.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.harness import Report, milliseconds, run_alone, wait_until_quiet
from bench.warehouse import Loaded, load, record_statement, sql_seconds
from prismhouse.cli.demo.house import House

SEED = 11
COUNT = 100_000
DIMENSIONS = 384
CLUSTERS = 500
NOISE = 0.8
QUERIES = 300
WARM_UP = 50
ROUNDS = 3
NEIGHBOURS = 10
MOST_OVERHEAD_MS = 3.0
LEAST_RECALL = 0.98
# Field, number of its values: a filter on one value keeps 1/n of the documents.
FILTERS = {"none": None, "50 %": ("half", 2), "5 %": ("twentieth", 20), "0.5 %": ("rare", 200)}

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Data:
    """Vectors of the documents and of the queries, and the values that filters use."""

    vectors: Floats
    queries: Floats
    fields: dict[str, Integers]


def measure(options: argparse.Namespace) -> int:
    """Load, index, then time and check each filter."""
    data = make_data(options.count)
    report = Report(
        name="search",
        data=f"{options.count} documents of about 0.6 kB, {DIMENSIONS}-d vectors in {CLUSTERS} clusters (seed {SEED}), "
        f"{QUERIES} queries of the same distribution",
    )
    with tempfile.TemporaryDirectory(prefix="prismhouse-bench-") as folder, House(Path(folder)) as house:
        house.start()
        loaded = asyncio.run(load(house, data.vectors, data.fields))
        report.figure("write", round(options.count / loaded.write_seconds), "documents/s")
        report.figure("index build", round(loaded.index_seconds, 1), "s")
        wait_until_quiet()
        for name, rule in FILTERS.items():
            _measure_filter(report, house, loaded, data, name, rule)
        _measure_text(report, house, loaded)
        house.stop()
    return report.finish(check=options.check, keep=options.count == COUNT)


def make_data(count: int) -> Data:
    """Return clustered unit vectors: centres are uniform, noise around them is 0.8 of their length."""
    rng = np.random.default_rng(SEED)
    centres = _unit(rng.standard_normal((CLUSTERS, DIMENSIONS), dtype=np.float32))

    def around_centres(number: int) -> Floats:
        noise = rng.standard_normal((number, DIMENSIONS), dtype=np.float32) * np.float32(NOISE / DIMENSIONS**0.5)
        return _unit(centres[rng.integers(0, CLUSTERS, number)] + noise)

    fields = {rule[0]: rng.integers(0, rule[1], count) for rule in FILTERS.values() if rule}
    return Data(vectors=around_centres(count), queries=around_centres(QUERIES), fields=fields)


def exact_neighbours(data: Data, rule: tuple[str, int] | None) -> list[set[int]]:
    """Return the numbers of the ten nearest documents that pass the filter, for each query."""
    kept = np.flatnonzero(data.fields[rule[0]] == 0) if rule else np.arange(len(data.vectors))
    similarity = data.queries @ data.vectors[kept].T
    nearest = np.argpartition(-similarity, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    return [set(kept[row].tolist()) for row in nearest]


def _measure_filter(
    report: Report, house: House, loaded: Loaded, data: Data, name: str, rule: tuple[str, int] | None
) -> None:
    filters = {"AND": [{"field": rule[0], "operator": "eq", "value": 0}]} if rule else None
    bodies = [{"inputs": {"vector": query.tolist()}, "limit": NEIGHBOURS} for query in data.queries]
    if filters:
        bodies = [{**body, "filters": filters} for body in bodies]
    recorded = asyncio.run(record_statement(house, loaded, filters=filters, vector=data.queries[0], limit=NEIGHBOURS))
    path = f"/v1/retrievers/{loaded.vector_retriever_id}/execute"
    answers, _ = _timed_posts(house, path, bodies)
    found = [{int(document["document_id"][4:]) for document in answer["documents"]} for answer in answers]
    recall = float(np.mean([len(a & b) / NEIGHBOURS for a, b in zip(found, exact_neighbours(data, rule), strict=True)]))
    over_http: list[float] = []
    alone: list[float] = []
    for _ in range(ROUNDS):
        over_http += _timed_posts(house, path, bodies)[1]
        alone += sql_seconds(loaded, recorded, data.queries, warm_up=WARM_UP)
    http_ms, sql_ms = milliseconds(over_http), milliseconds(alone)
    report.figure(f"filter {name}: HTTP", http_ms, "ms")
    report.figure(f"filter {name}: SQL", sql_ms, "ms")
    report.figure(f"filter {name}: ratio of p50 HTTP to SQL", round(http_ms["p50"] / sql_ms["p50"], 2))
    report.bound(f"filter {name}: p50 HTTP above SQL, ms", http_ms["p50"] - sql_ms["p50"], "at most", MOST_OVERHEAD_MS)
    report.bound(f"filter {name}: recall at 10", recall, "at least", LEAST_RECALL)


def _measure_text(report: Report, house: House, loaded: Loaded) -> None:
    words = ("cats and dogs", "how is a class made", "census of houses", "raise an exception", "faces in photographs")
    bodies = [
        {"inputs": {"query": f"{words[number % len(words)]} {number}"}, "limit": NEIGHBOURS}
        for number in range(QUERIES)
    ]
    _, seconds = _timed_posts(house, f"/v1/retrievers/{loaded.text_retriever_id}/execute", bodies)
    report.figure("text query, no filter: HTTP", milliseconds(seconds), "ms")


def _timed_posts(house: House, path: str, bodies: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[float]]:
    """Return the answers and how long each took; the first queries are asked twice, and timed the second time."""
    connection = http.client.HTTPConnection(house.url.removeprefix("http://"), timeout=60)
    headers = {**house.headers, "Content-Type": "application/json"}
    raw = [json.dumps(body).encode() for body in bodies]

    def ask(body: bytes) -> bytes:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != http.client.OK:
            raise SystemExit(f"{path} answered {answer.status}: {content[:600]!r}")
        return content

    for body in raw[:WARM_UP]:
        ask(body)
    timed = [_timed(ask, body) for body in raw]
    connection.close()
    return [json.loads(content) for content, _ in timed], [seconds for _, seconds in timed]


def _timed(work: Callable[[bytes], bytes], value: bytes) -> tuple[bytes, float]:
    began = time.perf_counter()
    result = work(value)
    return result, time.perf_counter() - began


def _unit(vectors: Floats) -> Floats:
    unit: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


if __name__ == "__main__":
    run_alone(
        measure,
        __doc__ or "",
        {"name": "--count", "type": int, "default": COUNT, "help": "documents in the collection"},
    )

"""Lists of documents beside the same SQL alone, and the same questions asked of three other stores.

Lists: one client, one request at a time on one kept connection; rounds of HTTP and SQL take turns. "HTTP" holds
authentication, the filter language, SQL and the answer as JSON. "SQL" is what the product asks of the documents'
table for that list, recorded from its own code, on one psycopg connection with the same session settings and the
same prepare mode, all rows read.
Late pages: the cursor comes from walking there, a thousand documents a page; the walk must meet each document once.
Others: each in a process of its own, loaded with the same file of documents, asked in process without any server;
our figures are over HTTP. So a ratio says what a program waits for, not which engine does less.
Recall: how many of the exact ten nearest (float32, brute force) are among the ten answers, on average.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.corpus import LIMIT, Questions, write_documents
from bench.harness import Report, milliseconds, run_alone, wait_until_quiet
from bench.peers.runner import PEERS, NotInstalled, ask
from bench.search import DIMENSIONS, NEIGHBOURS, Data, exact_neighbours, make_data
from bench.shelf import Client, Shelf, fill, record, replay
from prismhouse.cli.demo.house import House

COUNTS = (100_000, 1_000_000)
# Vectors of a million documents would take longer than all the rest: they are measured with the smaller corpus.
MOST_WITH_VECTORS = 100_000
ASKS = 100
ROUNDS = 3
WARM_UP = 20
MOST_SECONDS = 6.0
WALK_PAGE = 1000
MOST_OVERHEAD_MS = 2.0
MOST_BATCH_SHARE = 0.6
MOST_LATE_RATIO = 2.0
AGGREGATION: dict[str, Any] = {
    "group_by": [{"field": "category"}],
    "aggregations": [
        {"function": "count", "alias": "documents"},
        {"function": "avg", "field": "score", "alias": "average"},
    ],
}

Bodies = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Run:
    """One corpus, and where its figures go."""

    report: Report
    count: int
    questions: Questions
    data: Data | None

    def figure(self, name: str, value: Any, unit: str = "") -> None:
        """Keep a figure under the size of the corpus."""
        self.report.figure(f"{self.count:,}: {name}", value, unit)

    def bound(self, name: str, value: float, limit: float) -> None:
        """Hold a value of this corpus against its bound."""
        self.report.bound(f"{self.count:,}: {name}", value, "at most", limit)


def measure(options: argparse.Namespace) -> int:
    """Measure each corpus, the small one with vectors."""
    counts = tuple(options.count or COUNTS)
    report = Report(
        name="documents",
        data=f"{' and '.join(f'{count:,}' for count in counts)} documents of about 0.6 kB (made-up words by Zipf's "
        f"law, categories, numbers, times); up to {MOST_WITH_VECTORS:,} documents have {DIMENSIONS}-d vectors too",
    )
    with tempfile.TemporaryDirectory(prefix="prismhouse-environments-") as environments:
        for count in counts:
            with tempfile.TemporaryDirectory(prefix="prismhouse-bench-") as folder:
                _measure(report, count, Path(folder), Path(environments), peers=options.peers)
    report.note(
        "Ten lists: one call over HTTP here, ten calls one after the other in the other stores. Indexes built: the six "
        "declared ones here, whose index of words is kept up while documents are written; all of them elsewhere, but "
        "Qdrant Edge fills those of fields while points are written. A common word: with `search` any string that "
        "holds the letters, here; a whole word elsewhere and in our filter."
    )
    return report.finish(check=options.check, keep=counts == COUNTS)


def _measure(report: Report, count: int, folder: Path, environments: Path, *, peers: bool) -> None:
    print(f"-- {count:,} documents", flush=True)
    file = folder / "documents.jsonl"
    questions = write_documents(file, count)
    data = make_data(count) if count <= MOST_WITH_VECTORS else None
    run = Run(report, count, questions, data)
    ours = _measure_ours(run, folder / "house", file)
    if not peers:
        return
    order = {"file": str(file), "questions": asdict(questions), "asks": ASKS, "neighbours": NEIGHBOURS}
    order |= {"vectors": None, "queries": None}
    if data is not None:
        np.save(folder / "vectors.npy", data.vectors)
        np.save(folder / "queries.npy", data.queries[:ASKS])
        order |= {"vectors": str(folder / "vectors.npy"), "queries": str(folder / "queries.npy")}
    for peer in PEERS:
        print(f"-- {peer.title}, {count:,} documents", flush=True)
        wait_until_quiet()
        try:
            theirs = ask(peer, {**order, "folder": str(folder / peer.module)}, environments=environments)
        except NotInstalled as error:
            report.note(f"{peer.title} is not compared: {error}")
            continue
        _compare(run, peer.title, ours, theirs)


def _measure_ours(run: Run, folder: Path, file: Path) -> dict[str, float]:
    """Return the median of each question in milliseconds."""
    with House(folder) as house:
        house.start()
        shelf = fill(house, file, None if run.data is None else run.data.vectors)
        run.figure("write", round(run.count / shelf.write_seconds), "documents/s")
        run.figure("indexes built", round(shelf.field_index_seconds, 1), "s")
        if run.data is not None:
            run.figure("vector index built", round(shelf.vector_index_seconds, 1), "s")
        wait_until_quiet()
        client = Client(house)
        medians = {
            **_measure_lists(run, shelf, client),
            **_measure_pages(run, shelf, client),
            **_measure_batch(run, shelf, client),
            **_measure_others(run, shelf, client),
            **_measure_nearest(run, shelf, client),
        }
        client.close()
        house.stop()
    return medians


def _measure_lists(run: Run, shelf: Shelf, client: Client) -> dict[str, float]:
    """Filtered, sorted lists of twenty: HTTP beside SQL."""
    medians = {}
    for name, body_of in _lists(run.questions).items():
        bodies = [body_of(number) for number in range(ASKS)]
        sent, session = asyncio.run(record(shelf, bodies))
        over_http: list[float] = []
        alone: list[float] = []
        for _ in range(ROUNDS):
            over_http += _seconds(client, _path(shelf), bodies)[1]
            alone += replay(shelf, sent, session)
        http_ms, sql_ms = milliseconds(over_http), milliseconds(alone)
        run.figure(f"{name}: HTTP", http_ms, "ms")
        run.figure(f"{name}: SQL", sql_ms, "ms")
        run.bound(f"{name}: p50 HTTP above SQL, ms", http_ms["p50"] - sql_ms["p50"], MOST_OVERHEAD_MS)
        medians[name] = http_ms["p50"]
    return medians


def _lists(questions: Questions) -> dict[str, Callable[[int], dict[str, Any]]]:
    newest = {"sort": {"field": "published", "direction": "desc"}, "limit": LIMIT}
    best = {"sort": {"field": "score", "direction": "desc"}, "limit": LIMIT}

    def years(number: int) -> dict[str, Any]:
        first, last = questions.years(number)
        return {"filters": {"AND": [_rule("year", "gte", first), _rule("year", "lte", last)]}, **best}

    return {
        "category, newest first": lambda n: {"filters": _rule("category", "eq", questions.category(n)), **newest},
        "owner, newest first": lambda n: {"filters": _rule("owner", "eq", questions.owner(n)), **newest},
        "three years, best first": years,
    }


def _measure_pages(run: Run, shelf: Shelf, client: Client) -> dict[str, float]:
    """Hold pages that start after nine tenths of the documents against the first page."""
    medians = {}
    sorts = {"": {}, ", sorted": {"sort": {"field": "published", "direction": "desc"}}}
    for suffix, sort in sorts.items():
        cursor, rate = _walked(client, _path(shelf), sort, int(run.count * 0.9))
        run.figure(f"walk by cursor{suffix}", round(rate), "documents/s")
        pages: dict[str, list[float]] = {"first page": [], "late page": []}
        for _ in range(ROUNDS):
            for name, place in (("first page", {}), ("late page", {"cursor": cursor})):
                pages[name] += _seconds(client, _path(shelf), [{**sort, **place, "limit": LIMIT}] * ASKS)[1]
        shown = {name: milliseconds(seconds) for name, seconds in pages.items()}
        for name, figures in shown.items():
            run.figure(f"{name}{suffix}: HTTP", figures, "ms")
            medians[f"{name}{suffix}"] = figures["p50"]
        ratio = shown["late page"]["p50"] / shown["first page"]["p50"]
        run.bound(f"page at row {int(run.count * 0.9):,}{suffix}: ratio to the first", ratio, MOST_LATE_RATIO)
    return medians


def _walked(client: Client, path: str, sort: dict[str, Any], rows: int) -> tuple[str, float]:
    """Return the cursor after so many documents, and how many a second were met on the way."""
    seen: set[str] = set()
    cursor, began = None, time.perf_counter()
    while len(seen) < rows:
        size = min(WALK_PAGE, rows - len(seen))
        body = {**sort, "limit": size, "select": ["number"], **({"cursor": cursor} if cursor else {})}
        answer = json.loads(client.ask(path, json.dumps(body).encode())[0])
        met = {document["document_id"] for document in answer["results"]}
        if len(met) < size or met & seen:
            raise SystemExit(f"the walk met {len(met)} of {size} documents, {len(met & seen)} of them again")
        seen |= met
        cursor = answer["pagination"]["next_cursor"]
    return str(cursor), rows / (time.perf_counter() - began)


def _measure_batch(run: Run, shelf: Shelf, client: Client) -> dict[str, float]:
    """Ten lists in one call, beside the same ten one after the other."""
    list_of = _lists(run.questions)["category, newest first"]
    together: list[float] = []
    apart: list[float] = []
    for number in range(WARM_UP + ASKS):
        requests = [{"collection_ids": [shelf.collection_id], **list_of(number + one)} for one in range(10)]
        queries = [{"key": str(key), "request": request} for key, request in enumerate(requests)]
        content, batch = client.ask("/v1/documents/list/batch", json.dumps({"queries": queries}).encode())
        bodies = [json.dumps(request).encode() for request in requests]
        one_by_one = sum(client.ask("/v1/documents/list", body)[1] for body in bodies)
        if number == 0 and [one["error"] for one in json.loads(content)["results"]] != [None] * 10:
            raise SystemExit(f"the batch failed: {content[:600]!r}")
        if number >= WARM_UP:
            together.append(batch)
            apart.append(one_by_one)
    batch_ms, apart_ms = milliseconds(together), milliseconds(apart)
    run.figure("ten lists: HTTP", batch_ms, "ms")
    run.figure("ten lists one after the other: HTTP", apart_ms, "ms")
    run.bound("ten lists in one call: share of the time", batch_ms["p50"] / apart_ms["p50"], MOST_BATCH_SHARE)
    return {"ten lists": batch_ms["p50"]}


def _measure_others(run: Run, shelf: Shelf, client: Client) -> dict[str, float]:
    """Groups, words and averages."""
    common = run.questions.common
    aggregate = f"/v1/collections/{shelf.collection_id}/documents/aggregate"
    cases: dict[str, tuple[str, dict[str, Any]]] = {
        "ten groups of three": (_path(shelf), {"group_by": "scene", "limit": 10}),
        "common word": (_path(shelf), {"search": common, "limit": LIMIT}),
        "common word as a filter": (_path(shelf), {"filters": _rule("text", "words", common), "limit": LIMIT}),
        "average per category": (aggregate, AGGREGATION),
        "count per category": (aggregate, {**AGGREGATION, "aggregations": AGGREGATION["aggregations"][:1]}),
    }
    medians = {}
    for name, (path, body) in cases.items():
        answers, seconds = _seconds(client, path, [body] * ASKS)
        if name == "ten groups of three" and [one["count"] for one in answers[0]["groups"]] != [3] * 10:
            raise SystemExit(f"groups are not as they should be: {answers[0]['groups']}")
        figures = milliseconds(seconds)
        run.figure(f"{name}: HTTP", figures, "ms")
        medians[name] = figures["p50"]
    return medians


def _measure_nearest(run: Run, shelf: Shelf, client: Client) -> dict[str, float]:
    """The ten nearest of all, with their recall, and of a category."""
    if run.data is None or shelf.retriever_id is None:
        return {}
    path = f"/v1/retrievers/{shelf.retriever_id}/execute"
    bodies = [{"inputs": {"vector": query.tolist()}, "limit": NEIGHBOURS} for query in run.data.queries[:ASKS]]
    rules = [{"filters": _rule("category", "eq", run.questions.category(number))} for number in range(ASKS)]
    answers, seconds = _seconds(client, path, bodies)
    found = [[int(document["document_id"][4:]) for document in answer["documents"]] for answer in answers]
    _, filtered = _seconds(client, path, [body | rule for body, rule in zip(bodies, rules, strict=True)])
    run.figure("nearest: HTTP", milliseconds(seconds), "ms")
    run.figure("nearest: recall at 10", _recall(run.data, found))
    run.figure("nearest in a category: HTTP", milliseconds(filtered), "ms")
    return {"nearest": statistics.median(seconds) * 1000, "nearest in a category": statistics.median(filtered) * 1000}


def _compare(run: Run, title: str, ours: dict[str, float], theirs: dict[str, Any]) -> None:
    run.figure(f"{title}: write", round(run.count / theirs["load_seconds"]), "documents/s")
    run.figure(f"{title}: indexes built", round(theirs["index_seconds"], 1), "s")
    for name, figures in theirs["questions"].items():
        run.figure(f"{title}: {name}", figures, "ms")
        run.figure(f"{title}: {name}: our time over HTTP to its time", round(ours[name] / figures["p50"], 2))
    if theirs["nearest"] and run.data is not None:
        run.figure(f"{title}: nearest: recall at 10", _recall(run.data, theirs["nearest"]))
    for note in theirs["notes"]:
        if note not in run.report.notes:
            run.report.note(note)


def _recall(data: Data, found: Sequence[Sequence[int]]) -> float:
    exact = exact_neighbours(data, None)
    shares = [len(set(one) & right) / NEIGHBOURS for one, right in zip(found, exact, strict=False)]
    return round(statistics.fmean(shares), 4)


def _seconds(client: Client, path: str, bodies: Bodies) -> tuple[list[Any], list[float]]:
    """Return the answers and how long each took, after a warm-up; fewer than asked where they take long."""
    raw = [json.dumps(body).encode() for body in bodies]
    deadline = time.perf_counter() + MOST_SECONDS / 4
    for body in raw[:WARM_UP]:
        client.ask(path, body)
        if time.perf_counter() > deadline:
            break
    timed: list[tuple[bytes, float]] = []
    deadline = time.perf_counter() + MOST_SECONDS
    for body in raw:
        timed.append(client.ask(path, body))
        if len(timed) >= 3 and time.perf_counter() > deadline:
            break
    return [json.loads(content) for content, _ in timed], [seconds for _, seconds in timed]


def _path(shelf: Shelf) -> str:
    return f"/v1/collections/{shelf.collection_id}/documents/list"


def _rule(field: str, operator: str, value: Any) -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value}


if __name__ == "__main__":
    run_alone(
        measure,
        __doc__ or "",
        {"name": "--count", "type": int, "action": "append", "help": "documents, instead of the real measurement"},
        {"name": "--alone", "dest": "peers", "action": "store_false", "help": "without the other stores"},
    )

"""Annotations a thousand at a time, and lists among a million, beside the bare SQL and beside Label Studio.

Bulk: one client, one POST /v1/annotations/bulk at a time on one kept connection, each with 1,000 annotations (label,
confidence, a reason of about 80 characters, a payload with two keys); the time is the whole round trip, from JSON to
the last byte of the 1,000 results. "Bare" inserts the same rows and their events in one transaction on one psycopg
connection: two `INSERT ... SELECT unnest` with ready parameters and a commit. Rounds of HTTP and bare take turns.
Updates: 1,000 edits of label, confidence or reasoning, each minting a version, held against the same bare insert, and
shown beside a bare UPDATE that keeps the old rows and writes the events.
List: two filters, 50 of the results and the exact count, in a namespace with a million annotations that came through
the bulk call; "SQL" is the statement that the product sent, recorded, with the same session settings.
Label Studio: its own server on SQLite. It cannot add many annotations to texts that are there in one call, so its
fastest way imports texts and annotations together; the time of the same texts without annotations is taken off.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import random
import secrets
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from bench.harness import Report, milliseconds, run_alone, wait_until_quiet
from bench.label_studio import VERSION, LabelStudio, NotInstalled
from prismhouse.api.annotations.schemas import ListAnnotations
from prismhouse.api.documents.model import NewDocument
from prismhouse.api.web.caller import Scope
from prismhouse.cli.demo.house import House
from prismhouse.kit.ids import CollectionId, DocumentId, NamespaceId, OrganizationId
from prismhouse.server.wiring import build
from prismhouse.settings import Settings
from prismhouse.storage.postgres.database import NamespaceReader
from prismhouse.storage.postgres.embedded import running_dsn

SEED = 17
COUNT = 1_000_000
AT_ONCE = 1_000
ROUNDS = 30
WARM_UP = 5
LISTS = 300
LABELS = ("approved", "rejected", "deferred", "infringement", "safe")
COLLECTIONS = 20
DOCUMENTS = 20_000
MOST_CREATE_RATIO = 3.0
MOST_UPDATE_RATIO = 4.0
MOST_LIST_OVERHEAD_MS = 3.0
# 20,000 annotations a second where the bare statement makes 60,000.
LEAST_SHARE = 1 / 3

_INSERT = """
INSERT INTO annotations (namespace_id, annotation_id, document_id, collection_id, label, confidence, reasoning,
  payload, actor_id, actor_type, version, created_at, updated_at)
SELECT %(namespace_id)s, annotation_id, document_id, collection_id, label, confidence, reasoning, payload::jsonb,
  'key_bench', 'api_key', 1, now(), now()
FROM unnest(%(annotation_id)b::text[], %(document_id)b::text[], %(collection_id)b::text[], %(label)b::text[],
  %(confidence)b::float8[], %(reasoning)b::text[], %(payload)b::text[])
  AS given (annotation_id, document_id, collection_id, label, confidence, reasoning, payload)
"""
_EVENTS = """
INSERT INTO events (event_id, organization_id, namespace_id, event_type, resource_id, payload)
SELECT event_id, %(organization_id)s, %(namespace_id)s, %(event_type)s, annotation_id, event::jsonb
FROM unnest(%(event_id)b::text[], %(annotation_id)b::text[], %(event)b::text[])
  AS given (event_id, annotation_id, event)
"""
_KEEP = """
INSERT INTO annotation_history SELECT a.*, now(), 'key_bench', 'api_key', ARRAY['label']
FROM annotations AS a WHERE a.namespace_id = %(namespace_id)s AND a.annotation_id = ANY(%(annotation_id)b)
"""
_UPDATE = """
UPDATE annotations AS a SET label = given.label, reasoning = given.reasoning, confidence = given.confidence,
  version = a.version + 1, updated_at = now()
FROM unnest(%(annotation_id)b::text[], %(label)b::text[], %(reasoning)b::text[], %(confidence)b::float8[])
  AS given (annotation_id, label, reasoning, confidence)
WHERE a.namespace_id = %(namespace_id)s AND a.annotation_id = given.annotation_id
"""


Places = list[dict[str, str]]
"""The document and the collection of each document there is."""


class Client:
    """One kept connection to a server."""

    def __init__(self, house: House) -> None:
        self._connection = http.client.HTTPConnection(house.url.removeprefix("http://"), timeout=60)
        self._headers = {**house.headers, "Content-Type": "application/json"}

    def post(self, path: str, body: bytes) -> tuple[bytes, float]:
        """Return the answer and how long it took."""
        began = time.perf_counter()
        self._connection.request("POST", path, body, self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        seconds = time.perf_counter() - began
        if answer.status != http.client.OK:
            raise SystemExit(f"{path} answered {answer.status}: {content[:600]!r}")
        return content, seconds


def measure(options: argparse.Namespace) -> int:
    """Time bulk calls, fill up, time lists, then do the same thousand with Label Studio."""
    report = Report(
        name="annotations",
        data=f"{options.count} annotations on {DOCUMENTS} documents of {COLLECTIONS} collections, "
        f"{len(LABELS)} labels, {AT_ONCE} per call (seed {SEED})",
    )
    rng = random.Random(SEED)
    with tempfile.TemporaryDirectory(prefix="prismhouse-bench-") as folder, House(Path(folder)) as house:
        house.start()
        namespace_id = house.post("/namespaces", {"namespace_name": "bench"})["namespace_id"]
        house.enter(namespace_id)
        dsn = running_dsn(house.data_dir / "postgres")
        client = Client(house)
        places = asyncio.run(_documents(house, dsn, namespace_id))
        bare = Bare(dsn, namespace_id)
        _measure_bulk(report, client, bare, rng, places)
        began = time.perf_counter()
        present = house.get("/annotations/stats")["total"]
        for _ in range((options.count - present) // AT_ONCE):
            client.post("/v1/annotations/bulk", _creates(rng, places))
        report.figure(
            "filled through the bulk call",
            round((options.count - present) / (time.perf_counter() - began)),
            "annotations/s",
        )
        bare.connection.execute("VACUUM ANALYZE")
        wait_until_quiet()
        _measure_lists(report, Client(house), house, dsn, namespace_id, places)
        bare.connection.close()
        house.stop()
    _measure_label_studio(report)
    return report.finish(check=options.check, keep=options.count == COUNT)


async def _documents(house: House, dsn: str, namespace_id: str) -> Places:
    """Write the documents that are annotated, through the product's own code."""
    bucket_id = house.post(
        "/buckets", {"bucket_name": "texts", "bucket_schema": {"properties": {"content": {"type": "text"}}}}
    )["bucket_id"]
    source = {"type": "bucket", "bucket_ids": [bucket_id]}
    extractor = {"feature_extractor_name": "passthrough_extractor", "version": "v1"}
    collections = [
        house.post(
            "/collections",
            {"collection_name": f"collection_{number}", "source": source, "feature_extractor": extractor},
        )["collection_id"]
        for number in range(COLLECTIONS)
    ]
    places = [
        {"document_id": f"doc_{number:06d}", "collection_id": collections[number % COLLECTIONS]}
        for number in range(DOCUMENTS)
    ]
    product = build(Settings(data_dir=house.data_dir), dsn)
    await product.open()
    for start in range(0, DOCUMENTS, AT_ONCE):
        async with product.db.write() as writer:
            rows = [
                NewDocument(
                    document_id=DocumentId(place["document_id"]),
                    collection_id=CollectionId(place["collection_id"]),
                    payload={"number": start + offset},
                )
                for offset, place in enumerate(places[start : start + AT_ONCE])
            ]
            await product.documents.write(writer.within(NamespaceId(namespace_id)), rows)
    await product.close()
    return places


class Bare:
    """What the database alone needs for the same rows."""

    def __init__(self, dsn: str, namespace_id: str) -> None:
        self.connection = psycopg.connect(dsn, autocommit=True)
        self._namespace_id = namespace_id
        row = self.connection.execute("SELECT organization_id FROM organizations").fetchone()
        self._organization_id = row[0] if row else ""

    def insert_seconds(self, items: list[dict[str, Any]]) -> float:
        """Insert annotations and their events."""
        parameters = self._parameters(items, "annotation.created")
        began = time.perf_counter()
        with self.connection.transaction():
            self.connection.execute(_INSERT, parameters)
            self.connection.execute(_EVENTS, parameters)
        return time.perf_counter() - began

    def update_seconds(self, items: list[dict[str, Any]]) -> float:
        """Change annotations, keeping the old rows and writing events."""
        parameters = self._parameters(items, "annotation.updated")
        began = time.perf_counter()
        with self.connection.transaction():
            self.connection.execute(_KEEP, parameters)
            self.connection.execute(_UPDATE, parameters)
            self.connection.execute(_EVENTS, parameters)
        return time.perf_counter() - began

    def _parameters(self, items: list[dict[str, Any]], event_type: str) -> dict[str, Any]:
        ids = [item.get("annotation_id") or f"ann_{secrets.token_hex(12)}" for item in items]
        for item, annotation_id in zip(items, ids, strict=True):
            item["annotation_id"] = annotation_id
        names = ("document_id", "collection_id", "label", "confidence", "reasoning")
        return {
            "namespace_id": self._namespace_id,
            "organization_id": self._organization_id,
            "event_type": event_type,
            "annotation_id": ids,
            "event_id": [f"evt_{secrets.token_hex(12)}" for _ in items],
            "event": [json.dumps(item) for item in items],
            "payload": [json.dumps(item.get("payload")) for item in items],
            **{name: [item.get(name) for item in items] for name in names},
        }


def _measure_bulk(report: Report, client: Client, bare: Bare, rng: random.Random, places: Places) -> None:
    wait_until_quiet()
    over_http: dict[str, list[float]] = {"create": [], "update": []}
    alone: dict[str, list[float]] = {"insert": [], "update": []}
    for number in range(WARM_UP + ROUNDS):
        content, seconds = client.post("/v1/annotations/bulk", _creates(rng, places))
        ids = [result["annotation_id"] for result in json.loads(content)["results"]]
        items = _items(rng, places)
        bare_insert = bare.insert_seconds(items)
        edits = _edits(rng, ids)
        answer, edited = client.post("/v1/annotations/bulk", json.dumps({"update": edits}).encode())
        if json.loads(answer)["updated_count"] != AT_ONCE:
            raise SystemExit(f"not every edit was made: {answer[:300]!r}")
        changed = [{**item, "label": rng.choice(LABELS), "reasoning": _reason(rng)} for item in items]
        bare_update = bare.update_seconds(changed)
        if number >= WARM_UP:
            over_http["create"].append(seconds)
            over_http["update"].append(edited)
            alone["insert"].append(bare_insert)
            alone["update"].append(bare_update)
    create, update = (statistics.median(over_http[name]) for name in ("create", "update"))
    insert, change = (statistics.median(alone[name]) for name in ("insert", "update"))
    report.figure("1,000 creates: HTTP", milliseconds(over_http["create"]), "ms")
    report.figure("1,000 creates: bare insert with events", milliseconds(alone["insert"]), "ms")
    report.figure("1,000 creates: HTTP", round(AT_ONCE / create), "annotations/s")
    report.figure("1,000 creates: bare", round(AT_ONCE / insert), "annotations/s")
    report.figure("1,000 updates: HTTP", milliseconds(over_http["update"]), "ms")
    report.figure("1,000 updates: bare update with old rows and events", milliseconds(alone["update"]), "ms")
    report.figure("1,000 updates: ratio of HTTP to the bare update", round(update / change, 2))
    report.bound("1,000 creates: ratio of HTTP to the bare insert", create / insert, "at most", MOST_CREATE_RATIO)
    report.bound("1,000 creates: share of the bare rate", insert / create, "at least", LEAST_SHARE)
    report.bound("1,000 updates: ratio of HTTP to the bare insert", update / insert, "at most", MOST_UPDATE_RATIO)


def _measure_lists(report: Report, client: Client, house: House, dsn: str, namespace_id: str, places: Places) -> None:
    cases = {
        "document and label": lambda n: {
            "document_id": places[n * 331 % DOCUMENTS]["document_id"],
            "label": LABELS[n % 5],
        },
        "collection and label": lambda n: {"collection_id": places[n]["collection_id"], "label": LABELS[n % 5]},
    }
    for name, filters in cases.items():
        bodies = [filters(number) for number in range(LISTS)]
        statement, session = asyncio.run(_recorded(house, dsn, namespace_id, bodies[0]))
        options = " ".join(f"-c {key}={value}" for key, value in session.items() if "." in key)
        over_http, alone, totals = [], [], []
        with psycopg.connect(dsn, autocommit=True, row_factory=dict_row, options=options) as connection:
            for number, body in enumerate(bodies):
                content, seconds = client.post("/v1/annotations/list", json.dumps(body).encode())
                parameters = {**statement[1], **body}
                began = time.perf_counter()
                connection.execute(statement[0], parameters, prepare=statement[2]).fetchall()
                if number >= WARM_UP:
                    alone.append(time.perf_counter() - began)
                    over_http.append(seconds)
                    totals.append(json.loads(content)["total_count"])
        http_ms, sql_ms = milliseconds(over_http), milliseconds(alone)
        report.figure(f"list by {name}: matches, mean", round(statistics.fmean(totals), 1))
        report.figure(f"list by {name}: HTTP", http_ms, "ms")
        report.figure(f"list by {name}: SQL", sql_ms, "ms")
        above = http_ms["p50"] - sql_ms["p50"]
        report.bound(f"list by {name}: p50 HTTP above SQL, ms", above, "at most", MOST_LIST_OVERHEAD_MS)


async def _recorded(
    house: House, dsn: str, namespace_id: str, body: dict[str, str]
) -> tuple[tuple[str, dict[str, Any], bool | None], dict[str, str]]:
    """List once with the product's own code in this process, and keep what it sent."""
    sent: list[tuple[str, dict[str, Any], bool | None]] = []
    fetch_all = NamespaceReader.fetch_all

    async def recording(
        self: NamespaceReader, statement: Any, parameters: Any = None, *, prepare: bool | None = None
    ) -> Any:
        sent.append((statement, {**(parameters or {}), "namespace_id": self.namespace_id}, prepare))
        return await fetch_all(self, statement, parameters, prepare=prepare)

    product = build(Settings(data_dir=house.data_dir), dsn)
    await product.open()
    scope = Scope(organization_id=OrganizationId("bench"), namespace_id=NamespaceId(namespace_id))
    NamespaceReader.fetch_all = recording  # type: ignore[method-assign]
    try:
        await product.annotations.list(scope, ListAnnotations.model_validate(body), skip=0, limit=50)
    finally:
        NamespaceReader.fetch_all = fetch_all  # type: ignore[method-assign]
    async with product.db.read() as unit:
        rows = await unit.fetch_all("SELECT name, setting FROM pg_settings WHERE source = 'client'")
    await product.close()
    statement = next(one for one in sent if "total_count" in one[0])
    return statement, {row["name"]: row["setting"] for row in rows}


def _measure_label_studio(report: Report) -> None:
    wait_until_quiet()
    try:
        with tempfile.TemporaryDirectory(prefix="label-studio-") as folder, LabelStudio(Path(folder)) as other:
            project = other.project()
            other.bulk_seconds(project, AT_ONCE)
            together = statistics.median(other.bulk_seconds(project, AT_ONCE) for _ in range(3))
            texts = statistics.median(other.texts_seconds(project, AT_ONCE) for _ in range(3))
            single = other.single_seconds(project, 100)
    except NotInstalled as error:
        report.note(f"Label Studio is not compared: {error}")
        return
    ours = report.figures["1,000 creates: HTTP"]["value"]
    per_second = AT_ONCE / (together - texts)
    report.figure(f"Label Studio {VERSION}: 1,000 texts with annotations, one call", round(together * 1000), "ms")
    report.figure(f"Label Studio {VERSION}: 1,000 texts without", round(texts * 1000), "ms")
    report.figure(f"Label Studio {VERSION}: one annotation per call", round(100 / single, 1), "annotations/s")
    report.figure("ratio of our bulk rate to Label Studio's, texts taken off", round(ours / per_second, 1))


def _items(rng: random.Random, places: Places) -> list[dict[str, Any]]:
    return [
        {
            **rng.choice(places),
            "label": rng.choice(LABELS),
            "confidence": round(rng.random(), 3),
            "reasoning": _reason(rng),
            "payload": {"codes": ["E11.40", "E11.9"], "impact": round(rng.random(), 3)},
        }
        for _ in range(AT_ONCE)
    ]


def _creates(rng: random.Random, places: Places) -> bytes:
    return json.dumps({"create": _items(rng, places)}).encode()


def _edits(rng: random.Random, ids: list[str]) -> list[dict[str, Any]]:
    """Return edits of one, two or three fields; confidence above 1 in a million never repeats, so each is a change."""
    edits = []
    for number, annotation_id in enumerate(ids):
        edit: dict[str, Any] = {"annotation_id": annotation_id, "confidence": round(rng.random(), 9)}
        if number % 3:
            edit["label"] = rng.choice(LABELS)
        if number % 2:
            edit["reasoning"] = _reason(rng)
        edits.append(edit)
    return edits


def _reason(rng: random.Random) -> str:
    return (
        f"The scene matches the reference in {rng.randrange(100)} of 100 frames, seen twice by {rng.randrange(10**6)}."
    )


if __name__ == "__main__":
    run_alone(
        measure,
        __doc__ or "",
        {"name": "--count", "type": int, "default": COUNT, "help": "annotations in the namespace"},
    )

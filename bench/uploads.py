"""Uploads: confirmations of a hundred beside the bare SQL, and long lists. `signed_put` measures large files.

Confirm: 100 small files that were put, confirmed by one POST; the time ends when a poll finds the task COMPLETED.
"Inside" is the same call and then its job with the product's code in this process: the rest is HTTP, the queue and the
poll. "Database alone" are the statements that both sent, recorded once and sent again on one connection for other
uploads, with as many rows, parameters and commits; without those of the queue itself. It has no files to look at and
none to make blobs of. The bound holds for the whole way, from the POST to the poll.
List: pages of 100 uploads by cursor, newest first, through a bucket with a hundred thousand.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from bench.harness import Report, milliseconds, run_alone, wait_until_quiet
from bench.replay import Replay, recorded
from prismhouse.api.uploads.schemas import ConfirmUploads
from prismhouse.api.uploads.service.confirm import CONFIRM_JOB
from prismhouse.api.web.caller import Scope
from prismhouse.cli.demo.house import House
from prismhouse.kit.ids import NamespaceId
from prismhouse.server.wiring import House as Product
from prismhouse.server.wiring import build
from prismhouse.settings import Settings
from prismhouse.storage.postgres.embedded import running_dsn

COUNT = 100_000
AT_ONCE = 100
CONFIRM_ROUNDS = 20
WARM_UP = 6
PAGE = 100
MOST_CONFIRM_RATIO = 3.0
MOST_PAGE_GROWTH = 1.5
_TYPE = "application/octet-stream"

_ROWS = """
INSERT INTO uploads (namespace_id, bucket_id, upload_id, filename, content_type, declared_size_bytes, s3_key, metadata,
  blob_property, blob_type, presigned_url_expiration, expires_at, created_at, updated_at)
SELECT %(namespace_id)s, %(bucket_id)s, 'upl_' || lpad(n::text, 16, '0'), n || '.bin', 'application/octet-stream', n,
  'bench/' || n, jsonb_build_object('shelf', n %% 100), 'raw', 'binary', 3600, now() + interval '1 hour',
  now() - n * interval '1 second', now()
FROM generate_series(1, %(count)s) AS n
"""


class Client:
    """One kept connection to a server."""

    def __init__(self, house: House) -> None:
        host = house.url.removeprefix("http://")
        self._connection = http.client.HTTPConnection(host, timeout=60)
        self._headers = {**house.headers, "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer."""
        content = None if body is None else json.dumps(body).encode()
        answer: dict[str, Any] = json.loads(self._send(method, path, content, self._headers) or b"{}")
        return answer

    def begin(self, *, quietly: bool) -> None:
        """Begin anew with a connection that the server has not given up meanwhile, in a quiet moment if need be."""
        if quietly:
            wait_until_quiet()
        self._connection.close()

    def put(self, url: str, body: Any, size_bytes: int) -> None:
        """PUT bytes, or an open file, to a signed URL."""
        parts = urlsplit(url)
        headers = {"Content-Type": _TYPE, "Content-Length": str(size_bytes)}
        self._send("PUT", f"{parts.path}?{parts.query}", body, headers)

    def _send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> bytes:
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= http.client.BAD_REQUEST:
            raise SystemExit(f"{method} {path.partition('?')[0]} answered {answer.status}: {content[:600]!r}")
        return content


def measure(options: argparse.Namespace) -> int:
    """Time confirmations, then lists."""
    report = Report(
        name="uploads",
        data=f"{AT_ONCE} files of some bytes per confirmation; "
        f"{options.count} uploads in the bucket that is listed, {PAGE} per page",
    )
    whole = options.count == COUNT
    with tempfile.TemporaryDirectory(prefix="prismhouse-bench-") as folder, House(Path(folder) / "data") as house:
        house.start()
        house.enter(house.post("/namespaces", {"namespace_name": "bench"})["namespace_id"])
        client = Client(house)
        asyncio.run(_measure_confirm(report, client, house, whole=whole))
        _measure_list(report, client, house, options.count, whole=whole)
        house.stop()
    return report.finish(check=options.check, keep=whole)


def _bucket(client: Client, name: str) -> str:
    """Make a bucket and return the path below which it is."""
    body = {"bucket_name": name, "bucket_schema": {"properties": {"raw": {"type": "binary"}}}}
    return f"/v1/buckets/{client.call('POST', '/v1/buckets', body)['bucket_id']}"


class Hundreds:
    """Uploads of one bucket, a hundred at a time."""

    def __init__(self, client: Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._made = 0

    def create(self, *, put: bool) -> list[str]:
        """Return the ids of new uploads, with or without their files."""
        items = [{"filename": f"{number}.bin", "content_type": _TYPE} for number in range(AT_ONCE)]
        made = self._client.call("POST", f"{self._bucket}/uploads/batch", {"uploads": items})["uploads"]
        for upload in made if put else ():
            self._made += 1
            data = b"the file with the number %d" % self._made
            self._client.put(upload["presigned_url"], data, len(data))
        return [upload["upload_id"] for upload in made]

    def confirm_seconds(self) -> float:
        """Confirm a hundred over HTTP; return how long it took until a poll found the task completed."""
        items = [{"upload_id": upload_id} for upload_id in self.create(put=True)]
        began = time.perf_counter()
        body = {"confirmations": items}
        task = self._client.call("POST", f"{self._bucket}/uploads/confirm/batch", body)
        while (status := task["status"]) != "COMPLETED":
            if status in {"FAILED", "COMPLETED_WITH_ERRORS"} or time.perf_counter() - began > 60:
                raise SystemExit(f"not all was confirmed: {task}")
            time.sleep(0.005)
            task = self._client.call("GET", f"/v1/tasks/{task['task_id']}")
        return time.perf_counter() - began


class Inside:
    """The same confirmation with the product's code in this process: the call, then its job."""

    def __init__(self, product: Product, scope: Scope, bucket_id: str) -> None:
        self._product = product
        self._scope = scope
        self._bucket_id = bucket_id
        self._jobs: list[Mapping[str, Any]] = []
        self._job = product.jobs._registered[CONFIRM_JOB].handler  # noqa: SLF001 - what its worker calls

        async def keep(*arguments: Any, **_: Any) -> None:
            """Let nothing reach the queue, where the server's worker would take it."""
            self._jobs += arguments[-1]

        product.jobs.enqueue = keep  # type: ignore[method-assign]

    async def seconds(self, upload_ids: list[str]) -> float:
        """Confirm; return how long it took."""
        request = ConfirmUploads.model_validate({"confirmations": [{"upload_id": one} for one in upload_ids]})
        began = time.perf_counter()
        await self._product.uploads.confirm_many(self._scope, self._bucket_id, request)
        await self._job(**self._jobs.pop())
        return time.perf_counter() - began


async def _measure_confirm(report: Report, client: Client, house: House, *, whole: bool) -> None:
    bucket = _bucket(client, "small")
    hundreds = Hundreds(client, bucket)
    dsn = running_dsn(house.data_dir / "postgres")
    product = build(Settings(data_dir=house.data_dir), dsn)
    await product.open()
    namespace_id = house.headers["X-Namespace"]
    async with product.db.read() as tx:
        organization_id = await tx.fetch_value("SELECT organization_id FROM organizations")
    scope = Scope(organization_id=organization_id, namespace_id=NamespaceId(namespace_id))
    inside = Inside(product, scope, bucket.rpartition("/")[2])
    first = hundreds.create(put=True)
    async with recorded() as sent:
        await inside.seconds(first)
    async with product.db.write() as tx:
        rows = await tx.fetch_all("SELECT name, setting FROM pg_settings WHERE source = 'client' AND name LIKE '%.%'")
    replay = Replay(dsn, sent, {"jit": "off"} | {row["name"]: row["setting"] for row in rows})
    client.begin(quietly=whole)
    times: dict[str, list[float]] = {"HTTP": [], "inside": [], "database alone": []}
    for number in range(WARM_UP + (CONFIRM_ROUNDS if whole else 5)):
        others, bare = hundreds.create(put=True), hundreds.create(put=False)
        for name, took in (
            ("HTTP", hundreds.confirm_seconds()),
            ("inside", await inside.seconds(others)),
            ("database alone", replay.seconds(dict(zip(first, bare, strict=True)))),
        ):
            if number >= WARM_UP:
                times[name].append(took)
    replay.close()
    await product.close()
    whole, within, bare_seconds = (statistics.median(times[name]) for name in times)
    for name, seconds in times.items():
        report.figure(f"{AT_ONCE} confirmations: {name}", milliseconds(seconds), "ms")
    report.figure(f"{AT_ONCE} confirmations: statements", replay.statements)
    report.figure(f"{AT_ONCE} confirmations: ratio of inside to the database alone", round(within / bare_seconds, 2))
    report.bound(
        f"{AT_ONCE} confirmations: ratio of HTTP, from POST to COMPLETED, to the database alone",
        whole / bare_seconds,
        "at most",
        MOST_CONFIRM_RATIO,
    )


def _measure_list(report: Report, client: Client, house: House, count: int, *, whole: bool) -> None:
    bucket = _bucket(client, "many")
    with psycopg.connect(running_dsn(house.data_dir / "postgres"), autocommit=True) as connection:
        parameters = {
            "namespace_id": house.headers["X-Namespace"],
            "bucket_id": bucket.rpartition("/")[2],
            "count": count,
        }
        connection.execute(_ROWS, parameters)
        connection.execute("VACUUM ANALYZE uploads")
    client.begin(quietly=whole)
    seconds: list[float] = []
    seen: set[str] = set()
    for page, took in _pages(client, f"{bucket}/uploads/list"):
        seconds.append(took)
        seen.update(item["upload_id"] for item in page)
    if len(seen) != count:
        raise SystemExit(f"{len(seen)} uploads were listed, of {count}")
    tenth = max(1, len(seconds) // 10)
    first, last = statistics.median(seconds[:tenth]), statistics.median(seconds[-tenth:])
    report.figure(f"pages of {PAGE}", milliseconds(seconds), "ms")
    report.figure("first tenth of the pages: p50", round(first * 1000, 2), "ms")
    report.figure("last tenth of the pages: p50", round(last * 1000, 2), "ms")
    report.bound("last tenth of the pages to the first: ratio", last / first, "at most", MOST_PAGE_GROWTH)


def _pages(client: Client, path: str) -> Iterator[tuple[list[dict[str, Any]], float]]:
    """Yield every page with the time it took."""
    cursor: str | None = None
    while True:
        body: dict[str, Any] = {"limit": PAGE, **({"cursor": cursor} if cursor else {})}
        began = time.perf_counter()
        answer = client.call("POST", path, body)
        yield answer["results"], time.perf_counter() - began
        cursor = answer["pagination"]["next_cursor"]
        if not cursor:
            return


if __name__ == "__main__":
    run_alone(
        measure,
        __doc__ or "",
        {"name": "--count", "type": int, "default": COUNT, "help": "uploads in the bucket that is listed"},
    )

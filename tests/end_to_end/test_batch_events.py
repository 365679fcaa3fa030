"""A batch as a stream of events, from a real server."""

from __future__ import annotations

import http.client
import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from conditions import eventually
from tests.end_to_end.test_metrics import scrape, value
from tests.running import Api, RunningServer
from tests.watching import run_batch, submit_batch


@dataclass
class Shown:
    name: str
    event_id: str
    data: dict[str, Any]


@contextmanager
def stream(api: Api, path: str, *, last: str | None = None, **headers: str) -> Iterator[http.client.HTTPResponse]:
    sent = {
        "Authorization": f"Bearer {api.server.api_key}",
        "X-Namespace": api.namespace or "",
        "Accept": "text/event-stream",
        **({"Last-Event-ID": last} if last else {}),
        **headers,
    }
    connection = http.client.HTTPConnection(api.server.host, api.server.port, timeout=30)
    try:
        connection.request("GET", path, headers=sent)
        yield connection.getresponse()
    finally:
        connection.close()


def events(answer: http.client.HTTPResponse) -> Iterator[Shown]:
    """Yield events until the server ends the stream."""
    fields: dict[str, str] = {}
    while line := answer.readline().decode():
        name, _, text = line.rstrip("\n").partition(": ")
        if name:
            fields[name] = text
        elif "data" in fields:
            yield Shown(fields["event"], fields["id"], json.loads(fields["data"]))
            fields = {}


def test_a_batch_is_followed_from_submit_to_end(api: Api) -> None:
    path = submit_batch(api, [f"text {number}" for number in range(40)], tiers=2)

    with stream(api, path) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert answer.headers["Cache-Control"] == "no-store"
        shown = list(events(answer))

    assert shown[-1].name == "end"
    assert shown[-1].data["status"] == "COMPLETED"
    assert shown[-1].data["documents_written"] == 80
    done = [event.data["tier_num"] for event in shown if event.name == "tier" and event.data["status"] == "COMPLETED"]
    assert done == [0, 1]
    percents = [event.data["percent"] for event in shown if event.name == "progress"]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    by_id = path.replace(path.split("/batches/")[0], "/v1")
    with stream(api, by_id) as answer:
        assert next(iter(events(answer))).name == "tier"


def test_a_reader_goes_on_after_its_last_event(api: Api) -> None:
    batch = run_batch(api, ["one", "two"], tiers=2)
    path = f"/v1/batches/{batch['batch_id']}"
    with stream(api, path) as answer:
        whole = list(events(answer))

    for number, event in enumerate(whole[:-1], 1):
        with stream(api, path, last=event.event_id) as answer:
            assert [each.event_id for each in events(answer)] == [each.event_id for each in whole[number:]]
    with stream(api, path, last=whole[-1].event_id) as answer:
        assert answer.status == 204


def test_json_is_answered_to_who_does_not_ask_for_events(api: Api) -> None:
    path = submit_batch(api, ["one"])

    for accepted in ("*/*", "application/json", "application/json, text/event-stream"):
        with stream(api, path, Accept=accepted) as answer:
            assert json.loads(answer.read())["batch_id"] in path
    assert api.call("GET", path)[0] == 200


def test_a_foreign_batch_is_missing_as_a_stream_too(
    api: Api, server: RunningServer, api_of: Callable[..., Api], unique_name: str
) -> None:
    path = submit_batch(api, ["one"])
    other = api_of(server, f"{unique_name}-other")

    for at in (path, f"/v1/batches/{path.rpartition('/')[2]}"):
        with stream(other, at) as answer:
            assert answer.status == 404
            assert json.loads(answer.read())["success"] is False
    with stream(api, path, Authorization="Bearer none") as answer:
        assert answer.status == 401


def draft(api: Api) -> str:
    """Return a batch that nothing happens to."""
    bucket = api.ok("POST", "/v1/buckets", {"bucket_name": "drafts", "bucket_schema": {"properties": {}}})
    at = f"/v1/buckets/{bucket['bucket_id']}/batches"
    return f"{at}/{api.ok('POST', at, {})['batch_id']}"


def open_streams(server: RunningServer) -> float:
    return value(scrape(server), "prismhouse_event_streams")


def test_streams_are_bounded_and_end_with_their_client_or_the_server(
    private_server: Callable[..., RunningServer], api_of: Callable[..., Api]
) -> None:
    server = private_server(PRISMHOUSE_LIMITS__EVENT_STREAMS="3")
    api = api_of(server, "bounded")
    path = draft(api)

    with stream(api, path) as first, stream(api, path) as second:
        assert (first.status, second.status) == (200, 200)
        with stream(api, path) as third:
            assert third.status == 429
            assert third.headers["Retry-After"]
        assert open_streams(server) == 2
        head = http.client.HTTPConnection(server.host, server.port, timeout=5)
        sent = {"Authorization": f"Bearer {server.api_key}", "X-Namespace": str(api.namespace)}
        head.request("HEAD", path, headers={**sent, "Accept": "text/event-stream"})
        assert head.getresponse().headers["Content-Type"] == "application/json"
        head.close()
    eventually(lambda: open_streams(server), until=lambda number: number == 0)

    with stream(api, path) as answer:
        assert answer.status == 200
        seen = next(events(answer))
        assert seen.name == "progress"
        began = time.monotonic()
        assert server.stop(signal.SIGTERM) == 0
        assert time.monotonic() - began < 8
        assert re.fullmatch(rb"(:.*\n\n)*", answer.read())

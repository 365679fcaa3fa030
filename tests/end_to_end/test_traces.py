"""Traces of a real server, as a real receiver gets them: OTLP over HTTP, in protobuf."""

from __future__ import annotations

import http.client
import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from conditions import eventually
from tests.running import Api, RunningServer
from tests.watching import submit_batch

pytest.importorskip("opentelemetry.sdk")
TRACE = "0af7651916cd43dd8448eb211c80319c"
SUBMIT = "/v1/buckets/{bucket_identifier}/batches/{batch_id}/submit"
SECRET = "the-text-that-no-span-may-hold"


@dataclass
class Receiver:
    port: int
    spans: list[dict[str, Any]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)

    def take(self, body: bytes) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        self.raw.append(body)
        for resource in request.resource_spans:
            about = {item.key: item.value.string_value for item in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [
                    {
                        "name": span.name,
                        "trace": span.trace_id.hex(),
                        "id": span.span_id.hex(),
                        "parent": span.parent_span_id.hex(),
                        "failed": span.status.code == 2,
                        "process": about["prismhouse.process"],
                        "service": about["service.name"],
                        "attributes": {
                            item.key: item.value.string_value or item.value.int_value for item in span.attributes
                        },
                    }
                    for span in scope.spans
                ]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Take(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            assert self.headers["Content-Type"] == "application/x-protobuf"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                import gzip

                body = gzip.decompress(body)
            received.take(body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Take) as web:
        received = Receiver(web.server_port)
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        yield received
        web.shutdown()
        thread.join()


def named(receiver: Receiver, name: str, trace: str | None = None) -> list[dict[str, Any]]:
    return [span for span in receiver.spans if span["name"] == name and (trace is None or span["trace"] == trace)]


def whole(receiver: Receiver) -> bool:
    """Say whether the trace has a submit, a chunk with a call, and the parent of every span but the first."""
    mine = [span for span in receiver.spans if span["trace"] == TRACE]
    ids = {span["id"] for span in mine}
    names = {span["name"] for span in mine}
    wanted = {"job batches.run_chunk", "compute run_rows", f"POST {SUBMIT}"}
    return wanted <= names and all(span["parent"] in ids or span["name"] == f"POST {SUBMIT}" for span in mine)


def test_a_trace_leads_from_the_submit_through_the_queue_to_every_chunk(
    receiver: Receiver, private_server: Callable[..., RunningServer], api_of: Callable[..., Api]
) -> None:
    server = private_server(
        PRISMHOUSE_TRACING__ENDPOINT=f"http://127.0.0.1:{receiver.port}",
        PRISMHOUSE_WORKER__CHUNK_ROWS="2",
        PRISMHOUSE_WORKER__CHUNKS_IN_FLIGHT="1",
        OTEL_BSP_SCHEDULE_DELAY="200",
    )
    api = api_of(server, "traced")
    draft_path = submit_batch(api, [SECRET], tiers=1)
    bucket = draft_path.split("/batches/")[0]
    objects = [each["object_id"] for each in api.ok("POST", f"{bucket}/objects/list", {})["results"]]
    more = api.ok(
        "POST",
        f"{bucket}/objects/batch",
        {"objects": [{"blobs": [{"property": "content", "type": "text", "data": SECRET}]}] * 5},
    )["succeeded"]
    objects += [each["object_id"] for each in more]
    eventually(lambda: api.ok("GET", draft_path)["status"], until=lambda status: status == "COMPLETED")
    made = api.ok("POST", f"{bucket}/batches", {"object_ids": objects, "dedup_strategy": "force"})
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    headers = {"Authorization": f"Bearer {server.api_key}", "X-Namespace": str(api.namespace)}
    headers["traceparent"] = f"00-{TRACE}-b7ad6b7169203331-01"
    connection.request("POST", f"{bucket}/batches/{made['batch_id']}/submit", headers=headers)
    assert connection.getresponse().status == 200
    connection.close()
    eventually(
        lambda: api.ok("GET", f"{bucket}/batches/{made['batch_id']}")["status"],
        until=lambda status: status == "COMPLETED",
    )

    # Spans are sent a moment after their end, a parent after its children, and by each process for itself.
    eventually(lambda: whole(receiver), until=bool, timeout_seconds=40)
    [submit] = named(receiver, f"POST {SUBMIT}", TRACE)
    assert submit["parent"] == "b7ad6b7169203331"
    assert submit["process"] == "api"
    assert submit["attributes"]["http.response.status_code"] == 200
    jobs = [*named(receiver, "job batches.start_tier", TRACE), *named(receiver, "job batches.run_chunk", TRACE)]
    assert len(jobs) >= 2
    for job in jobs:
        assert (job["parent"], job["process"], job["service"]) == (submit["id"], "worker", "prismhouse")
        assert job["attributes"]["prismhouse.batch_id"] == made["batch_id"]
    ids = {job["id"] for job in jobs}
    assert {span["parent"] for span in named(receiver, "compute run_rows", TRACE)} <= ids
    assert {span["parent"] for span in named(receiver, "postgresql write", TRACE)} <= ids | {submit["id"]}
    assert not any(span["failed"] for span in receiver.spans if span["trace"] == TRACE)
    assert not named(receiver, "GET /v1/health")
    everything = b"".join(receiver.raw)
    for text in (SECRET.encode(), server.api_key.encode(), b"SELECT ", b"INSERT "):
        assert text not in everything


def test_what_fails_is_marked_and_what_a_user_did_wrong_is_not(
    receiver: Receiver, private_server: Callable[..., RunningServer], api_of: Callable[..., Api]
) -> None:
    server = private_server(
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{receiver.port}", OTEL_BSP_SCHEDULE_DELAY="200"
    )
    api = api_of(server, "faults")

    assert api.call("GET", "/v1/batches/btch_none")[0] == 404

    [span] = eventually(lambda: named(receiver, "GET /v1/batches/{batch_id}"), until=bool)
    assert not span["failed"]
    assert span["attributes"]["http.response.status_code"] == 404
    assert not any(each["failed"] for each in receiver.spans if each["trace"] == span["trace"])


def test_a_receiver_that_is_gone_delays_nothing(
    private_server: Callable[..., RunningServer], api_of: Callable[..., Api]
) -> None:
    server = private_server(PRISMHOUSE_TRACING__ENDPOINT="http://127.0.0.1:1", OTEL_BSP_SCHEDULE_DELAY="200")
    api = api_of(server, "gone")

    assert api.call("GET", "/v1/batches/btch_none")[0] == 404
    assert server.stop() == 0

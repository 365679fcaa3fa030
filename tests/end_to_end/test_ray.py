"""A server whose extraction runs on a Ray cluster of two nodes: the same documents, whatever dies."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import mixpeek
import numpy as np
import pytest
from conditions import eventually
from mixpeek.models import (
    BucketCreateRequest,
    CreateBatchRequest,
    CreateObjectRequest,
    SubmitBatchRequest,
)
from tests.fault.flow import QUICK, Flow, kill, victims
from tests.photos import png
from tests.ray_cluster import TwoNodes, on_ray, one_node
from tests.running import Api, RunningServer, free_port

pytestmark = [pytest.mark.ray, pytest.mark.timeout(420)]

TEXTS = ("The cat slept on the warm window sill.", "A diesel engine compresses air.", "Knead the dough. " * 200)
PHOTOS = ("coffee", "chelsea", "rocket")
SCHEMA = {"properties": {"note": {"type": "text"}, "photo": {"type": "image"}}}


def health(running: RunningServer) -> dict[str, Any]:
    with urllib.request.urlopen(f"{running.base_url}/v1/health", timeout=10) as answer:
        found: dict[str, Any] = json.loads(answer.read())
    return found


class Client:
    """The official client in a namespace of a server that may be another one next time."""

    def __init__(self, server: RunningServer, namespace_id: str) -> None:
        self.namespace_id = namespace_id
        self.use(server)

    def use(self, server: RunningServer) -> None:
        configuration = mixpeek.Configuration(host=server.base_url, access_token=server.api_key)
        configuration.api_key["NamespaceHeader"] = self.namespace_id
        self.client = mixpeek.ApiClient(configuration)
        self.api = Api(server, self.namespace_id)

    def prepare(self) -> None:
        """Make a bucket with texts and photos, and a collection of each."""
        buckets, objects = mixpeek.BucketsApi(self.client), mixpeek.BucketObjectsApi(self.client)
        bucket = buckets.create_bucket(BucketCreateRequest.from_dict({"bucket_name": "b", "bucket_schema": SCHEMA}))
        self.bucket_id = bucket.bucket_id
        self.object_ids = [
            objects.create_object_buckets(
                self.bucket_id,
                CreateObjectRequest.from_dict(
                    {
                        "blobs": [
                            {"property": "note", "type": "text", "data": text},
                            {
                                "property": "photo",
                                "type": "image",
                                "data": {"base64": base64.b64encode(png(photo)).decode()},
                            },
                        ]
                    }
                ),
            ).object_id
            for text, photo in zip(TEXTS, PHOTOS, strict=True)
        ]
        self.collection_ids = [
            self._collection("notes", "text_extractor", {"text": "note"}, {"split_by": "words", "chunk_size": 50}),
            self._collection("looks", "image_extractor", {"image": "photo"}, {}),
        ]

    def _collection(self, name: str, extractor: str, mappings: dict[str, str], parameters: dict[str, Any]) -> str:
        body = {
            "collection_name": name,
            "source": {"type": "bucket", "bucket_ids": [self.bucket_id]},
            "feature_extractor": {
                "feature_extractor_name": extractor,
                "version": "v1",
                "input_mappings": mappings,
                "parameters": parameters,
            },
        }
        return str(self.api.ok("POST", "/v1/collections", body)["collection_id"])

    def run(self) -> Any:
        """Run a batch of everything; return it when it has ended."""
        batches = mixpeek.BucketBatchesApi(self.client)
        asked = {"object_ids": self.object_ids, "collection_ids": self.collection_ids, "dedup_strategy": "replace"}
        made = batches.create_batch_buckets_batches(self.bucket_id, CreateBatchRequest.from_dict(asked))
        batches.submit_batch_buckets_batches(
            self.bucket_id, made.batch_id, submit_batch_request=SubmitBatchRequest.from_dict({})
        )
        return eventually(
            lambda: batches.get_batch_buckets_batches(self.bucket_id, made.batch_id),
            until=lambda batch: str(batch.status).lower().endswith(("completed", "errors", "failed", "canceled")),
            timeout_seconds=120,
        )

    def documents(self) -> dict[str, dict[str, Any]]:
        found = [
            document
            for collection_id in self.collection_ids
            for document in self.api.pages(f"/v1/collections/{collection_id}/documents/list", {"return_vectors": True})
        ]
        return {document["document_id"]: document for document in found}


@pytest.fixture
def quiet_cluster(ray_cluster: TwoNodes) -> Iterator[TwoNodes]:
    yield ray_cluster
    ray_cluster.mend()


def vectors_of(document: dict[str, Any]) -> dict[str, np.ndarray]:
    return {
        name: np.asarray(value, np.float64)
        for name, value in document.items()
        if isinstance(value, list) and len(value) > 100 and isinstance(value[0], float)
    }


def test_a_batch_on_ray_writes_what_a_batch_on_this_machine_writes(
    private_server: Callable[..., RunningServer],
    api_of: Callable[..., Api],
    ray_cluster: TwoNodes,
    unique_name: str,
) -> None:
    local = private_server()
    client = Client(local, str(api_of(local, unique_name).namespace))
    client.prepare()
    assert client.run().status.endswith("COMPLETED")
    before = client.documents()
    assert local.stop() == 0

    again = private_server(data_dir=local.data_dir, **on_ray(ray_cluster.address))
    client.use(again)
    assert client.run().status.endswith("COMPLETED")
    after = client.documents()

    assert len(before) > len(TEXTS) + len(PHOTOS)
    assert after.keys() == before.keys()
    compared = 0
    for document_id, document in before.items():
        rewritten = after[document_id]
        assert rewritten["_internal"]["updated_at"] > document["_internal"]["updated_at"]
        ours, theirs = vectors_of(document), vectors_of(rewritten)
        assert ours.keys() == theirs.keys() != set()
        assert all(np.abs(ours[name] - theirs[name]).max() < 1e-6 for name in ours)
        compared += len(ours)
    assert compared >= len(before)
    assert health(again)["status"] == "healthy"
    assert "joined the Ray cluster" in again.log()
    assert "ray::" not in again.log()


@pytest.mark.slow
@pytest.mark.parametrize("what", ["actor", "bridge", "worker", "node"])
def test_every_row_is_written_once_when_something_is_killed(
    private_server: Callable[..., RunningServer],
    api_of: Callable[..., Api],
    quiet_cluster: TwoNodes,
    unique_name: str,
    what: str,
) -> None:
    server = private_server(**on_ray(quiet_cluster.address, **QUICK))
    flow = Flow(api_of(server, unique_name))
    flow.wait_until_midway()

    if what == "node":
        busy = [node for node in quiet_cluster.nodes if quiet_cluster.actors(node)]
        assert busy
        quiet_cluster.kill(busy[0].node_id)
    elif what == "actor":
        kill([pid for node in quiet_cluster.nodes for pid in quiet_cluster.actors(node)][:1])
    else:
        kill(victims(server.process.pid, what))

    flow.check_end(timeout_seconds=240)


@pytest.mark.slow
def test_batches_wait_and_health_says_so_while_the_cluster_is_gone(
    private_server: Callable[..., RunningServer], api_of: Callable[..., Api], unique_name: str
) -> None:
    import ray

    port, host = free_port(), ray.util.get_node_ip_address()
    server = private_server(**on_ray(f"{host}:{port}", **QUICK))
    assert any(f"the Ray cluster at {host}:{port} does not answer" in why for why in health(server)["reasons"])
    flow = Flow(api_of(server, unique_name))
    eventually(server.log, until=lambda log: "extraction waits for the Ray cluster" in log)
    assert flow.read()["status"] in {"QUEUED", "PROCESSING"}

    with one_node(port):
        flow.check_end(timeout_seconds=240)
        eventually(lambda: health(server)["status"], until=lambda status: status == "healthy")
        assert server.stop() == 0

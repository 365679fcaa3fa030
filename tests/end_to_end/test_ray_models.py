"""Models that come from elsewhere, on a Ray cluster of two nodes: folders, endpoints, crawls, a user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conditions import eventually
from tests.folders import minilm_folder
from tests.openai_server import OpenAIServer, openai_server
from tests.ray_cluster import TwoNodes, on_ray
from tests.running import Api, RunningServer, launch
from tests.users_models import deployed
from tests.website import Website, page

from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import MINILM

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(300)]

TEXTS = tuple(f"Note {number}: " + "a cat sleeps on the mat. " * number + "Done." for number in range(1, 13))
TERMINAL = {"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"}
TABLES = """
[models.mine]
kind = "sentence_transformers"
path = "mine"

[models.far]
kind = "openai_embeddings"
url = "{url}"
model = "minilm"
dimensions = 384

[models.locked]
kind = "openai_embeddings"
url = "{url}"
model = "minilm"
dimensions = 384
api_key_env = "ONLY_THE_WORKERS_HAVE_IT"
"""


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAIServer]:
    with openai_server(tmp_path_factory.mktemp("far")) as running:
        yield running


@pytest.fixture(scope="module")
def on_cluster(
    tmp_path_factory: pytest.TempPathFactory, ray_cluster: TwoNodes, far: OpenAIServer
) -> Iterator[RunningServer]:
    data = tmp_path_factory.mktemp("ray") / "data"
    minilm_folder(data / "mine")
    (data / "models.toml").write_text(TABLES.format(url=far.url))
    more = {"ONLY_THE_WORKERS_HAVE_IT": "sk-1", "PRISMHOUSE_WORKER__MAX_ATTEMPTS": "2"}
    running = launch(data, on_ray(ray_cluster.address, **more))
    try:
        running.wait_until_healthy()
        yield running
    finally:
        running.stop()


@pytest.fixture
def calls(on_cluster: RunningServer, api_of: Callable[..., Api], unique_name: str) -> Api:
    return api_of(on_cluster, unique_name)


def run(api: Api, kind: str, values: tuple[str, ...], extractor: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Run one batch; return it when it has ended, and its collection."""
    schema = {"properties": {"given": {"type": kind}}}
    bucket = api.ok("POST", "/v1/buckets", {"bucket_name": "given", "bucket_schema": schema})["bucket_id"]
    text = [{"blobs": [{"property": "given", "type": "text", "data": value}]} for value in values]
    bodies = text if kind == "text" else [{"given": value} for value in values]
    ids = [api.ok("POST", f"/v1/buckets/{bucket}/objects", body)["object_id"] for body in bodies]
    source = {"type": "bucket", "bucket_ids": [bucket]}
    named = {"collection_name": "made", "source": source, "feature_extractor": {"version": "v1", **extractor}}
    collection = api.ok("POST", "/v1/collections", named)
    made = api.ok("POST", f"/v1/buckets/{bucket}/batches", {"object_ids": ids})["batch_id"]
    at = f"/v1/buckets/{bucket}/batches/{made}"
    api.ok("POST", f"{at}/submit", {})
    ended = eventually(lambda: api.ok("GET", at), until=lambda shown: shown["status"] in TERMINAL, timeout_seconds=150)
    return ended, collection


def text_extractor(model: str) -> dict[str, Any]:
    return {
        "feature_extractor_name": "text_extractor",
        "input_mappings": {"text": "given"},
        "parameters": {"embedding_model": model},
    }


def assert_embedded_as_minilm_does(api: Api, collection: Any, cache_dir: Path) -> None:
    """Check that each text has one document, with the vector that the same weights give in this process."""
    path = f"/v1/collections/{collection['collection_id']}/documents/list"
    documents = {one["text"]: one for one in api.pages(path, {"return_vectors": True})}
    assert sorted(documents) == sorted(TEXTS)
    expected = loaded(MINILM, threads=1, cache_dir=cache_dir).embed(list(documents))
    found = [
        value
        for one in documents.values()
        for value in one.values()
        if isinstance(value, list) and len(value) == expected.shape[1]
    ]
    assert np.abs(np.asarray(found) - expected).max() < 1e-4


def test_a_folder_of_the_file_of_models_embeds_on_the_nodes(calls: Api, ray_cluster: TwoNodes, tmp_path: Path) -> None:
    ended, collection = run(calls, "text", TEXTS, text_extractor("mine"))

    assert ended["status"] == "COMPLETED", ended
    assert_embedded_as_minilm_does(calls, collection, tmp_path)
    assert any(ray_cluster.actors(node) for node in ray_cluster.nodes)


def test_an_endpoint_is_asked_by_the_nodes(calls: Api, far: OpenAIServer, tmp_path: Path) -> None:
    before = len(far.asked)

    ended, collection = run(calls, "text", TEXTS, text_extractor("far"))

    assert ended["status"] == "COMPLETED", ended
    assert_embedded_as_minilm_does(calls, collection, tmp_path)
    assert len(far.asked) > before


def test_the_variable_is_named_when_a_node_does_not_have_the_key_of_an_endpoint(calls: Api) -> None:
    ended, collection = run(calls, "text", TEXTS[:2], text_extractor("locked"))

    assert ended["status"] == "FAILED", ended
    [bucket] = collection["source"]["bucket_ids"]
    failed = str(calls.ok("GET", f"/v1/buckets/{bucket}/batches/{ended['batch_id']}/failed-documents"))
    assert failed.count("names ONLY_THE_WORKERS_HAVE_IT, which is not set in the environment") == 2, failed


def test_a_site_is_crawled_by_the_worker_and_its_pages_are_embedded_on_the_nodes(calls: Api) -> None:
    site = Website({"/": page("Handbook", "/bread", "/engine"), "/bread": page("Bread"), "/engine": page("Engine")})
    try:
        crawl = {
            "feature_extractor_name": "web_scraper",
            "input_mappings": {"url": "given"},
            "parameters": {"max_retries": 0},
        }
        ended, collection = run(calls, "string", (site.url,), crawl)
    finally:
        site.close()

    assert ended["status"] == "COMPLETED", ended
    documents = calls.pages(f"/v1/collections/{collection['collection_id']}/documents/list")
    assert {one["page_url"].removeprefix(site.url) for one in documents} == {"/", "/bread", "/engine"}


def test_a_users_model_embeds_batches_and_queries_on_the_nodes(calls: Api, unique_name: str, tmp_path: Path) -> None:
    model = deployed(calls, unique_name)

    ended, collection = run(calls, "text", TEXTS, text_extractor(model))

    assert ended["status"] == "COMPLETED", ended
    assert_embedded_as_minilm_does(calls, collection, tmp_path)
    search = {"feature_uri": collection["vector_indexes"][0]["feature_uri"], "top_k": 3}
    query = {"input_mode": "text", "text": TEXTS[4]}
    config = {"stage_id": "feature_search", "parameters": {"searches": [{**search, "query": query}]}}
    body = {
        "collection_identifiers": [collection["collection_id"]],
        "stages": [{"stage_name": "s", "stage_type": "filter", "config": config}],
        "inputs": {},
    }
    assert calls.ok("POST", "/v1/retrievers/execute", body)["documents"][0]["text"] == TEXTS[4]

"""A site through a running server and the official client: crawled, searched, and crawled again after kill -9."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from typing import Any

import mixpeek
import pytest
from conditions import eventually
from mixpeek.models import (
    BucketCreateRequest,
    CreateBatchRequest,
    CreateCollectionRequest,
    CreateNamespaceRequest,
    CreateObjectRequest,
    CreateRetrieverRequest,
    ExecuteRetrieverRequest,
    SubmitBatchRequest,
)
from tests.photos import png
from tests.website import Answer, Website, page

TERMINAL = {"completed", "completed_with_errors", "failed", "canceled"}
ENGINE = "A diesel engine compresses air until the fuel ignites by itself."
GUIDE = "Knead the dough for ten minutes and let the bread rise overnight in a cool place."


@pytest.fixture
def site() -> Iterator[Website]:
    """Documentation with a menu, a picture, code, a file, a page that is gone, and one that programs may not read."""
    served = Website(
        {
            "/robots.txt": Answer(b"User-agent: *\nDisallow: /private/", content_type="text/plain"),
            "/": page("Handbook", "/bread", "/engine", "/gone", "/private/x", "/bread#top"),
            "/bread": page(
                "Bread", "/", text=f'{GUIDE} <img src="/loaf.png" alt="a loaf"> <a href="/r.pdf">recipe</a>'
            ),
            "/engine": page("Engine", text=f"{ENGINE}<pre class='language-python'>start()</pre>"),
            "/loaf.png": Answer(png("coffee"), content_type="image/png"),
            "/private/x": page("Private"),
        }
    )
    yield served
    served.close()


@pytest.fixture
def client(server, unique_name):
    configuration = mixpeek.Configuration(host=server.base_url, access_token=server.api_key)
    with mixpeek.ApiClient(configuration) as api_client:
        body = {
            "namespace_name": unique_name,
            "feature_extractors": [{"feature_extractor_name": "web_scraper", "version": "v1"}],
        }
        namespace = mixpeek.NamespacesApi(api_client).create_namespace(CreateNamespaceRequest.from_dict(body))
        configuration.api_key["NamespaceHeader"] = namespace.namespace_id
        yield api_client


def collection_of(bucket_id: str, **parameters: Any) -> dict[str, Any]:
    return {
        "collection_name": "pages",
        "source": {"type": "bucket", "bucket_ids": [bucket_id]},
        "feature_extractor": {
            "feature_extractor_name": "web_scraper",
            "version": "v1",
            "input_mappings": {"url": "site"},
            "parameters": {"extractor_type": "web_scraper", "max_retries": 0, **parameters},
        },
    }


SCHEMA = {"properties": {"site": {"type": "string"}}}


def _plain(document: Any) -> dict[str, Any]:
    return document if isinstance(document, dict) else document.to_dict()


def test_a_site_is_found_by_what_its_pages_say(client, site):
    bucket = mixpeek.BucketsApi(client).create_bucket(
        BucketCreateRequest.from_dict({"bucket_name": "sites", "bucket_schema": SCHEMA})
    )
    objects = mixpeek.BucketObjectsApi(client)
    good, bad = (
        objects.create_object_buckets(bucket.bucket_id, CreateObjectRequest.from_dict({"site": url})).object_id
        for url in (site.url, "http://10.1.2.3/")
    )
    collection = mixpeek.CollectionsApi(client).create_collection(
        CreateCollectionRequest.from_dict(
            collection_of(bucket.bucket_id, custom_headers={"Authorization": "Bearer for the site"})
        )
    )
    assert len(collection.vector_indexes) == 3
    shown = collection.feature_extractor.to_dict()["parameters"]["custom_headers"]
    assert shown == {"Authorization": "********"}
    assert "Bearer" not in str(collection.to_dict()), str(collection.to_dict()).split("Bearer")[0][-400:]
    batches = mixpeek.BucketBatchesApi(client)
    batch = batches.create_batch_buckets_batches(
        bucket.bucket_id, CreateBatchRequest.from_dict({"object_ids": [good, bad]})
    )
    batches.submit_batch_buckets_batches(
        bucket.bucket_id, batch.batch_id, submit_batch_request=SubmitBatchRequest.from_dict({})
    )
    done = eventually(
        lambda: batches.get_batch_buckets_batches(bucket.bucket_id, batch.batch_id),
        until=lambda one: one.status.value.lower() in TERMINAL,
    )

    assert done.status.value.lower() == "completed_with_errors"
    listed = mixpeek.CollectionDocumentsApi(client).list_documents(collection.collection_id)
    found = {one["page_url"].removeprefix(site.url): one for one in map(_plain, listed.results)}
    assert set(found) == {"/", "/bread", "/engine"}
    assert found["/bread"]["parent_url"] == f"{site.url}/"
    assert found["/bread"]["asset_links"] == [{"url": f"{site.url}/r.pdf", "text": "recipe"}]
    assert found["/engine"]["code_blocks"] == [{"language": "python", "code": "start()"}]
    assert all(one.headers.get("Authorization") == "Bearer for the site" for one in site.asked)
    assert "/private/x" not in site.paths

    retriever = mixpeek.RetrieversApi(client).create_retriever(
        CreateRetrieverRequest.from_dict(
            {
                "retriever_name": "ask",
                "collection_identifiers": [collection.collection_id],
                "input_schema": {"query": {"type": "text", "required": True}},
                "stages": [
                    {
                        "stage_name": "find",
                        "stage_type": "filter",
                        "config": {
                            "stage_id": "feature_search",
                            "parameters": {
                                "searches": [
                                    {
                                        "feature_uri": collection.vector_indexes[0].feature_uri,
                                        "query": {"input_mode": "text", "value": "{{INPUT.query}}"},
                                        "top_k": 3,
                                    }
                                ],
                                "final_top_k": 3,
                            },
                        },
                    }
                ],
            }
        )
    )
    answer = mixpeek.RetrieversApi(client).execute_retriever(
        retriever.retriever_id,
        ExecuteRetrieverRequest.from_dict({"inputs": {"query": "how long does yeast dough rest?"}}),
    )
    assert _plain(answer.documents[0])["page_url"] == f"{site.url}/bread"


def test_what_cannot_be_served_is_refused_before_a_batch_and_what_failed_is_named(api, site):
    bucket = api.ok("POST", "/v1/buckets", {"bucket_name": "sites", "bucket_schema": SCHEMA})["bucket_id"]
    for parameters, named in [
        ({"render_strategy": "javascript"}, "needs a browser"),
        ({"proxies": ["http://proxy.test:3128"]}, "proxies"),
        ({"crawl_mode": "semantic"}, "include_patterns"),
        ({"captcha_service_provider": "2captcha"}, "captchas are not solved"),
        ({"include_patterns": ["("]}, "not a regular expression"),
        ({"custom_headers": {"Host": "x"}}, "set by the crawl itself"),
        ({"chunk_strategy": "words", "chunk_size": 5}, "must be less than chunk_size"),
    ]:
        status, answer = api.call("POST", "/v1/collections", collection_of(bucket, **parameters))
        assert (status, named in str(answer)) == (422, True), answer
    api.ok("POST", "/v1/collections", collection_of(bucket))
    objects = [
        api.ok("POST", f"/v1/buckets/{bucket}/objects", {"site": url})["object_id"]
        for url in (site.url, "http://10.1.2.3/", f"{site.url}/private/x", "not an address")
    ]
    batch = api.ok("POST", f"/v1/buckets/{bucket}/batches", {"object_ids": objects})["batch_id"]
    path = f"/v1/buckets/{bucket}/batches/{batch}"
    api.ok("POST", f"{path}/submit", {})
    eventually(lambda: api.ok("GET", path), until=lambda one: one["status"].lower() in TERMINAL)

    told = str(api.ok("GET", f"{path}/failed-documents"))
    assert all(code in told for code in ("address_refused", "robots_disallowed", "bad_url", "page_not_found")), told


def test_a_site_is_crawled_when_the_extractor_is_tried_on_it(api, site):
    sample = {"inputs": {"url": site.url}, "parameters": {"max_depth": 1, "max_retries": 0}, "return_vectors": False}

    tried = api.ok("POST", "/v1/extractors/web_scraper_v1/test", sample)

    assert tried["status"] == "partial", tried
    assert {one["fields"]["page_url"].removeprefix(site.url) for one in tried["documents"]} >= {"/", "/bread"}
    refused = api.ok("POST", "/v1/extractors/web_scraper_v1/test", {"inputs": {"url": "http://10.1.2.3/"}})
    assert (refused["status"], refused["failures"][0]["code"]) == ("failed", "address_refused")


@pytest.mark.slow
def test_a_crawl_that_is_killed_runs_again_and_gives_the_same_ids(private_server, api_of):
    released = threading.Event()

    def later(path: str) -> Answer | None:
        if path.startswith("/p"):
            return Answer(page(path).encode(), wait=0 if released.is_set() else 1.0)
        return None

    site = Website({"/": page("home", *(f"/p{number}" for number in range(6)))}, fallback=later)
    try:
        server = private_server(PRISMHOUSE_WORKER__STALLED_AFTER_SECONDS="2")
        api = api_of(server, "crawls")
        bucket = api.ok("POST", "/v1/buckets", {"bucket_name": "sites", "bucket_schema": SCHEMA})["bucket_id"]
        extractor = collection_of(bucket, generate_image_embeddings=False, generate_structure_embeddings=False)
        collection = api.ok("POST", "/v1/collections", extractor)["collection_id"]
        made = api.ok("POST", f"/v1/buckets/{bucket}/objects", {"site": site.url})["object_id"]

        def run(kill: bool) -> list[tuple[str, str]]:
            batch = api.ok("POST", f"/v1/buckets/{bucket}/batches", {"object_ids": [made]})["batch_id"]
            path = f"/v1/buckets/{bucket}/batches/{batch}"
            api.ok("POST", f"{path}/submit", {})
            if kill:
                eventually(lambda: len(site.paths), until=lambda count: count > 1)
                server.stop(signal.SIGKILL)
                released.set()
                api.server = again = private_server(
                    data_dir=server.data_dir, PRISMHOUSE_WORKER__STALLED_AFTER_SECONDS="2"
                )
                assert again.health() == 200
            done = eventually(lambda: api.ok("GET", path), until=lambda one: one["status"].lower() in TERMINAL)
            assert done["status"].lower() == "completed", done
            listed = api.ok("POST", f"/v1/collections/{collection}/documents/list", {"limit": 100})["results"]
            return sorted((one["page_url"], one["document_id"]) for one in listed)

        after_the_kill = run(kill=True)
        again = run(kill=False)

        assert len(after_the_kill) == 7
        assert after_the_kill == again
        assert site.counts["/"] >= 2
    finally:
        site.close()

"""Collections over HTTP, on a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx2
import pytest
from mixpeek.models import (
    CloneCollectionResponse,
    CollectionResponse,
    DescribeCollectionFeaturesResponse,
    FeatureDiscoveryResponse,
    FeatureExtractorResponseModel,
    ListCollectionsResponse,
    Parameters,
)
from tests.extractors import SmallCatalogue
from tests.web import FixedBuckets, KeysAreNames, add_tenant, application, client_of

from prismhouse.api.collections.routes import routes
from prismhouse.api.collections.service import Collections
from prismhouse.api.web.caller import Callers
from prismhouse.engine.extractors.catalogue import Catalogue
from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.postgres import vectors
from prismhouse.storage.postgres.database import Database, NamespaceReader, NamespaceWriter


class House:
    """What a test looks at."""

    def __init__(self, db: Database, client: httpx2.AsyncClient, service: Collections) -> None:
        self.db = db
        self.client = client
        self.service = service
        self.declared: list[dict[str, Any]] = []

    async def create(self, name: str, source: dict[str, Any] | None = None, **extractor: Any) -> httpx2.Response:
        body = {
            "collection_name": name,
            "source": source or {"type": "bucket", "bucket_ids": ["bkt_posts"]},
            "feature_extractor": {"feature_extractor_name": "text_extractor", "version": "v1", **extractor},
        }
        return await self.client.post("/v1/collections", json=body)

    async def add_documents(self, collection_id: str, count: int) -> None:
        async with self.db.write() as unit:
            await unit.within(NamespaceId("ns_one")).execute(
                """INSERT INTO documents (namespace_id, collection_id, document_id, payload)
                SELECT %(namespace_id)s, %(c)s, %(c)s || n, '{}' FROM generate_series(1, %(n)s) AS n""",
                {"c": collection_id, "n": count},
            )


@pytest.fixture
async def house(db: Database) -> AsyncIterator[House]:
    await add_tenant(db, "one")
    await add_tenant(db, "two")

    async def declare(tx: NamespaceWriter, **feature: Any) -> None:
        made.declared.append(feature)

    service = Collections(db, catalogue=SmallCatalogue(), buckets=FixedBuckets(), declare=declare)
    app = application([routes(service, Callers(KeysAreNames()))])
    async with client_of(app) as client:
        made = House(db, client, service)
        yield made


async def test_a_collection_is_complete_when_created_as_the_official_example_does(house: House) -> None:
    answer = await house.create(
        "articles", input_mappings={"text": "content"}, parameters={}, field_passthrough=["content"]
    )

    assert answer.status_code == 200, answer.text
    made = answer.json()
    CollectionResponse.from_dict(made)
    assert made["feature_extractor"]["input_mappings"] == {"text": "content"}
    assert made["feature_extractor"]["parameters"] == {"extractor_type": "text_extractor", "split_by": "none"}
    assert made["feature_extractor"]["feature_extractor_id"] == "text_extractor_v1"
    assert made["source"] == {"type": "bucket", "bucket_ids": ["bkt_posts"]}
    assert made["output_schema"]["properties"] == {
        "content": {"type": "text"},
        "text": {"type": "string"},
        "chunk_index": {"type": "integer"},
    }
    index = made["vector_indexes"][0]
    assert index["feature_uri"] == "mixpeek://text_extractor@v1/all_minilm_l6_v2_v1"
    assert index["index"]["dimensions"] == 384
    assert (made["document_count"], made["vector_count"]) == (0, 0)
    assert house.declared == [
        {
            "feature_uri": index["feature_uri"],
            "dimensions": 384,
            "distance": "cosine",
            "model": "minilm",
            "model_fingerprint": "",
        }
    ]


async def test_counts_are_exact_when_documents_come_and_go(house: House) -> None:
    made = (await house.create("articles")).json()
    await house.add_documents(made["collection_id"], 7)

    found = (await house.client.get("/v1/collections/articles")).json()

    assert (found["document_count"], found["vector_count"]) == (7, 7)


async def test_a_second_collection_of_the_name_is_refused(house: House) -> None:
    await house.create("articles")

    again = await house.create("articles")

    assert again.status_code == 409
    assert again.json()["error"]["code"] == "collection_name_taken"


@pytest.mark.parametrize(
    ("change", "needle"),
    [
        ({"feature_extractor": None}, "exactly one build step"),
        ({"features": ["text_search"]}, "exactly one build step"),
        ({"colour": 1}, "Accepted keys"),
        ({"collection_name": "no spaces"}, "pattern"),
        ({"source": {"type": "bucket"}}, "bucket_ids"),
        ({"source": {"type": "bucket", "bucket_ids": ["bkt_posts"], "collection_id": "col_1"}}, "takes `bucket_ids`"),
        ({"source": {"type": "bucket", "bucket_ids": ["bkt_posts", "bkt_odd"]}}, "'content' is text in bkt_posts"),
        ({"source": {"type": "bucket", "bucket_ids": ["bkt_two_texts"]}}, "Several fields fit"),
        ({"description": "a\x00b"}, "U+0000"),
        ({"input_schema": {"properties": {"content": {"type": "txt"}}}}, "not a field type"),
        (
            {"source": {"type": "bucket", "bucket_id": "bkt_posts", "source_filters": {"filters": {"must": []}}}},
            "source_filters",
        ),
        ({"retriever_transform": {"retriever_id": "ret_1"}}, "not supported"),
    ],
)
async def test_a_collection_that_could_not_work_is_refused_with_the_reason(
    house: House, change: dict[str, Any], needle: str
) -> None:
    body = {
        "collection_name": "articles",
        "source": {"type": "bucket", "bucket_ids": ["bkt_posts"]},
        "feature_extractor": {"feature_extractor_name": "text_extractor", "version": "v1"},
    }

    answer = await house.client.post("/v1/collections", json={**body, **change})

    assert answer.status_code == 422, answer.text
    assert needle in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("extractor", "needle"),
    [
        ({"input_mappings": {"words": "content"}}, "Inputs: text"),
        ({"input_mappings": {"text": "contents"}}, "content (text), author (string), views (integer)"),
        ({"parameters": {"splitby": 1}}, "Unknown parameter"),
        ({"field_passthrough": ["document_id"]}, "reserved"),
        ({"field_passthrough": ["author", {"source_path": "views", "target_path": "author"}]}, "Two entries"),
    ],
)
async def test_an_extractor_that_cannot_be_fed_is_refused_with_the_choices(
    house: House, extractor: dict[str, Any], needle: str
) -> None:
    answer = await house.create("articles", **extractor)

    assert answer.status_code == 422, answer.text
    assert needle in answer.json()["error"]["message"]


async def test_an_unknown_extractor_source_and_collection_are_not_found(house: House) -> None:
    extractor = await house.create("articles", feature_extractor_name="textract")
    source = await house.create("articles", {"type": "bucket", "bucket_id": "bkt_none"})
    upstream = await house.create("articles", {"type": "collection", "collection_id": "col_none"})
    read = await house.client.get("/v1/collections/col_none")

    assert [one.status_code for one in (extractor, source, upstream, read)] == [404, 404, 404, 404]
    assert extractor.json()["error"]["code"] == "feature_extractor_not_found"


@pytest.mark.parametrize("name", ["colbert_extractor", "colqwen_extractor"])
async def test_extractors_of_many_vectors_are_refused_by_a_message_that_names_what_is_there(
    db: Database, name: str
) -> None:
    await add_tenant(db, "one")
    service = Collections(db, catalogue=Catalogue(), buckets=FixedBuckets())

    async with client_of(application([routes(service, Callers(KeysAreNames()))])) as client:
        answer = await House(db, client, service).create("articles", feature_extractor_name=name)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (404, "feature_extractor_not_found")
    assert f"no feature extractor {name}_v1" in error["message"]
    assert "Available: text_extractor_v1, image_extractor_v1" in error["message"]


async def test_another_tenants_collection_does_not_exist(house: House, db: Database) -> None:
    made = (await house.create("articles")).json()
    stranger = {"Authorization": "Bearer sk_two"}
    path = f"/v1/collections/{made['collection_id']}"

    answers = [
        await house.client.get(path, headers=stranger),
        await house.client.get(f"{path}/features", headers=stranger),
        await house.client.patch(path, json={"enabled": False}, headers=stranger),
        await house.client.post(f"{path}/clone", json={"collection_name": "mine"}, headers=stranger),
        await house.client.delete(path, headers=stranger),
    ]

    assert {one.status_code for one in answers} == {404}
    assert (await house.client.get(path)).json()["enabled"] is True


async def test_pages_hold_every_collection_once_when_followed_by_cursor(house: House) -> None:
    for number in range(5):
        await house.create(f"articles-{number}")
    names: list[str] = []
    cursor = None
    while True:
        body = {"limit": 2, "include_total": True} | ({"cursor": cursor} if cursor else {})
        page = (await house.client.post("/v1/collections/list", json=body)).json()
        ListCollectionsResponse.from_dict(page)
        names += [one["collection_name"] for one in page["results"]]
        assert page["total_count"] == page["pagination"]["total"] == 5
        cursor = page["pagination"]["next_cursor"]
        if not cursor:
            break

    assert names == [f"articles-{number}" for number in (4, 3, 2, 1, 0)]


async def test_a_list_takes_an_empty_body_search_and_sort(house: House) -> None:
    for name in ("beta_one", "alpha_one", "gamma"):
        await house.create(name)

    everything = await house.client.post("/v1/collections/list", headers={"Content-Type": "application/json"})
    body = {"search": "_ONE", "sort": {"field": "collection_name"}}
    some = await house.client.post("/v1/collections/list", json=body)
    got = await house.client.get("/v1/collections", params={"search": "gamma"})

    assert len(everything.json()["results"]) == 3
    assert [one["collection_name"] for one in some.json()["results"]] == ["alpha_one", "beta_one"]
    assert [one["collection_name"] for one in got.json()["results"]] == ["gamma"]


async def test_a_list_is_filtered_by_any_field(house: House) -> None:
    await house.create("one")
    await house.create("two", field_passthrough=["author"])
    await house.client.patch("/v1/collections/two", json={"metadata": {"team": "Sea"}, "enabled": False})

    async def names(filters: Any) -> list[str]:
        answer = (await house.client.post("/v1/collections/list", json={"filters": filters})).json()
        assert answer["total_count"] == len(answer["results"])
        return [one["collection_name"] for one in answer["results"]]

    assert await names({"metadata.team": "sea"}) == ["two"]
    assert await names({"enabled": True}) == ["one"]
    assert await names({"field": "collection_name", "operator": "in", "value": ["one", "three"]}) == ["one"]
    assert await names({"NOT": [{"field": "source.bucket_ids", "value": "bkt_posts"}]}) == []
    refused = await house.client.post("/v1/collections/list", json={"filters": {"must": []}})
    assert refused.status_code == 422


async def test_a_change_keeps_what_was_not_sent_and_refuses_what_is_fixed(house: House) -> None:
    await house.create("articles")
    path = "/v1/collections/articles"

    changed = await house.client.patch(path, json={"metadata": {"team": "x"}, "enabled": False})
    fixed = await house.client.patch(path, json={"source": {"type": "bucket", "bucket_ids": ["bkt_notes"]}})
    unknown = await house.client.patch(path, json={"colour": 1})

    assert changed.json()["metadata"] == {"team": "x"}
    assert changed.json()["enabled"] is False
    assert changed.json()["collection_name"] == "articles"
    assert fixed.status_code == 422
    assert "clone" in fixed.json()["error"]["message"].lower()
    assert unknown.status_code == 422


async def test_a_deletion_takes_documents_and_disables_what_it_fed(house: House) -> None:
    first = (await house.create("first")).json()
    second = (await house.create("second", {"type": "collection", "collection_id": "first"})).json()
    await house.add_documents(first["collection_id"], 3)

    gone = await house.client.delete("/v1/collections/first")

    assert gone.json()["collection_id"] == first["collection_id"]
    assert gone.json()["success"] is True
    left = (await house.client.get(f"/v1/collections/{second['collection_id']}")).json()
    assert left["enabled"] is False
    assert left["disabled_reason"]["code"] == "source_collection_deleted"
    async with house.db.read() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM documents") == 0
    again = await house.client.patch("/v1/collections/second", json={"enabled": True})
    assert again.json()["disabled_reason"] is None


async def test_a_deletion_is_refused_when_a_batch_is_active(house: House) -> None:
    async def active(tx: NamespaceReader, collection_id: str) -> list[str]:
        return ["btch_1"]

    await house.create("articles")
    house.service.guard_deletion(active)

    assert (await house.client.get("/v1/collections/articles")).json()["indexing_status"] == "indexing"
    refused = await house.client.delete("/v1/collections/articles")

    assert refused.status_code == 409
    assert "btch_1" in refused.json()["error"]["message"]


async def test_a_collection_reads_the_output_of_another(house: House) -> None:
    first = (await house.create("first", field_passthrough=["author"])).json()

    second = (await house.create("second", {"type": "collection", "collection_ids": ["first"]})).json()

    assert second["source"]["collection_ids"] == [first["collection_id"]]
    assert second["source"]["inherited_bucket_ids"] == ["bkt_posts"]
    assert second["input_schema"] == first["output_schema"]
    assert second["feature_extractor"]["input_mappings"] == {"text": "text"}
    assert len(second["source_lineage"]) == 2
    async with house.db.read() as unit:
        fed = await house.service.fed_by(unit.within(NamespaceId("ns_one")), [first["collection_id"]])
    assert [row.name for row in fed] == ["second"]
    assert fed[0].input_mappings == {"text": ("text",)}


async def test_two_sources_with_different_types_agree_when_mapped(house: House) -> None:
    source = {
        "type": "bucket",
        "bucket_ids": ["posts", "bkt_odd"],
        "field_map": {"bkt_odd": [{"source_path": "content", "target_path": "picture"}]},
    }

    made = await house.create("articles", source)

    assert made.status_code == 200, made.text
    assert made.json()["input_schema"]["properties"]["picture"] == {"type": "image"}
    CollectionResponse.from_dict(made.json())


async def test_a_clone_copies_everything_but_documents(house: House) -> None:
    first = (await house.create("first", field_passthrough=["author"], input_mappings={"text": "content"})).json()
    await house.add_documents(first["collection_id"], 2)

    answer = await house.client.post("/v1/collections/first/clone", json={"collection_name": "second"})

    made = answer.json()
    CloneCollectionResponse.from_dict(made)
    assert made["source_collection_id"] == first["collection_id"]
    assert made["collection"]["feature_extractor"] == first["feature_extractor"]
    assert made["collection"]["document_count"] == 0


async def test_features_are_described_and_the_catalogue_is_public(house: House) -> None:
    await house.create("articles")
    nobody = {"Authorization": ""}

    described = (await house.client.get("/v1/collections/articles/features")).json()
    menu = await house.client.get("/v1/collections/features", headers=nobody)
    catalogue = await house.client.get("/v1/collections/features/extractors", headers=nobody)
    one = await house.client.get("/v1/feature-extractors/text_extractor_v1", headers=nobody)
    none = await house.client.get("/v1/collections/features/extractors/nothing_v1", headers=nobody)

    DescribeCollectionFeaturesResponse.from_dict(described)
    assert described["features"][0]["primary"] is True
    FeatureDiscoveryResponse.from_dict(menu.json())
    for item in [*catalogue.json(), one.json()]:
        FeatureExtractorResponseModel.from_dict(item)
    assert none.status_code == 404


async def test_every_built_in_extractor_makes_a_collection_with_the_vectors_it_really_writes(db: Database) -> None:
    await add_tenant(db, "one")
    service = Collections(db, catalogue=Catalogue(), buckets=FixedBuckets())

    async with client_of(application([routes(service, Callers(KeysAreNames()))])) as client:
        listed = (await client.get("/v1/collections/features/extractors")).json()
        for item in listed:
            FeatureExtractorResponseModel.from_dict(item)
            extractor = {"feature_extractor_name": item["feature_extractor_name"], "version": item["version"]}
            if item["feature_extractor_name"] in {"passthrough_extractor", "universal_extractor"}:
                extractor["input_mappings"] = {"content": "content"}
            kinds = {
                "image": "bkt_odd",
                "pdf": "bkt_pages",
                "audio": "bkt_sounds",
                "video": "bkt_films",
                "url": "bkt_sites",
            }
            fitting = [kinds[kind] for kind in kinds if kind in item["supported_input_types"]]
            bucket = next(iter(fitting), "bkt_posts")
            if item["feature_extractor_name"] in {"multimodal_extractor", "face_identity_extractor"}:
                extractor["input_mappings"] = {"image": "content"}
            body = {
                "collection_name": f"with_{item['feature_extractor_id']}",
                "source": {"type": "bucket", "bucket_ids": [bucket]},
                "feature_extractor": extractor,
            }
            answer = await client.post("/v1/collections", json=body)
            assert answer.status_code == 200, answer.text
            CollectionResponse.from_dict(answer.json())
            assert answer.json()["feature_extractor"]["parameters"] == item["default_parameters"]
            features = (await client.get(f"/v1/collections/{body['collection_name']}/features")).json()
            told = DescribeCollectionFeaturesResponse.from_dict(features)
            assert told is not None
            assert len(told.features or ()) == len(answer.json()["vector_indexes"])
            uris = [index["feature_uri"] for index in answer.json()["vector_indexes"]]
            async with db.read() as unit:
                standing = await vectors.load(unit.within(NamespaceId("ns_one")), uris)
            assert {uri: index.dimensions for uri, index in standing.items()} == {
                index["feature_uri"]: index["index"]["dimensions"] for index in answer.json()["vector_indexes"]
            }
        menu = await client.get("/v1/collections/features")
        FeatureDiscoveryResponse.from_dict(menu.json())


async def test_parameters_that_the_generated_client_invents_are_left_out(house: House) -> None:
    invented = Parameters.from_dict({}).to_dict()

    made = await house.create("articles", parameters=invented)
    wrong = await house.create("others", parameters={**invented, "sample_rate": 8000})

    assert made.json()["feature_extractor"]["parameters"]["split_by"] == "none"
    assert "extractor_type" in made.json()["warnings"][0]
    assert wrong.status_code == 422


class Locked:
    """A namespace that fixes how its text is split, and remembers what was registered."""

    def __init__(self) -> None:
        self.wanted: list[tuple[str, str]] = []

    async def extractors_registered(
        self, tx: NamespaceWriter, wanted: Sequence[tuple[str, str]]
    ) -> dict[str, dict[str, Any] | None]:
        self.wanted += wanted
        return {"text_extractor_v1": {"split_by": "sentences"}}


async def test_what_the_namespace_locks_holds_and_may_not_be_contradicted(db: Database) -> None:
    await add_tenant(db, "one")
    registry = Locked()
    service = Collections(db, catalogue=SmallCatalogue(), buckets=FixedBuckets(), namespaces=registry)
    async with client_of(application([routes(service, Callers(KeysAreNames()))])) as client:
        house = House(db, client, service)

        silent = await house.create("silent")
        contrary = await house.create("contrary", params={"split_by": "none"})

    assert silent.json()["feature_extractor"]["parameters"]["split_by"] == "sentences"
    assert contrary.status_code == 422
    assert "The namespace sets it" in contrary.json()["error"]["message"]
    assert registry.wanted[0] == ("text_extractor", "v1")


async def test_keys_without_effect_are_named_in_a_warning(house: House) -> None:
    body = {
        "collection_name": "articles",
        "source": {"type": "bucket", "bucket_ids": ["bkt_posts"]},
        "feature_extractor": {"feature_extractor_name": "text_extractor", "version": "v1", "colour": 1},
        "schedule": {"trigger_type": "cron", "schedule_config": {}},
    }
    body["feature_extractor"]["field_passthrough"] = ["undeclared"]  # type: ignore[index]

    warnings = (await house.client.post("/v1/collections", json=body)).json()["warnings"]

    assert [any(word in one for one in warnings) for word in ("schedule", "colour", "undeclared")] == [True] * 3


async def test_a_feature_key_chooses_the_extractor(house: House) -> None:
    body = {"collection_name": "articles", "source": {"type": "bucket", "bucket_ids": ["bkt_posts"]}}

    made = await house.client.post("/v1/collections", json={**body, "features": ["text_search"]})
    unknown = await house.client.post("/v1/collections", json={**body, "features": ["smell"]})

    assert made.json()["feature_extractor"]["feature_extractor_name"] == "text_extractor"
    assert unknown.status_code == 422
    assert "text_search" in unknown.json()["error"]["message"]


async def test_one_extractor_in_the_plural_form_is_accepted_and_two_are_not(house: House) -> None:
    extractor = {"feature_extractor_name": "text_extractor", "version": "v1"}
    body = {"source": {"type": "bucket", "bucket_ids": ["bkt_posts"]}}

    one = await house.client.post(
        "/v1/collections", json={**body, "collection_name": "one", "feature_extractors": [extractor]}
    )
    two = await house.client.post(
        "/v1/collections", json={**body, "collection_name": "two", "feature_extractors": [extractor, extractor]}
    )

    assert one.status_code == 200
    assert two.status_code == 422
    assert "one collection per extractor" in two.json()["error"]["message"]


async def test_a_change_warns_of_what_has_no_effect_until_it_is_taken_back(house: House) -> None:
    made = (await house.create("warned")).json()
    path = f"/v1/collections/{made['collection_id']}"

    kept = (await house.client.patch(path, json={"schedule": {"cron": "0 0 * * *"}})).json()
    taken_back = (await house.client.patch(path, json={"schedule": None})).json()

    assert any(text.startswith("schedule is kept") for text in kept["warnings"])
    assert not any("schedule" in text for text in taken_back["warnings"] or [])

"""Searches among vectors of one's own answer what an exact scan with numpy does, whatever the vectors are."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import numpy.typing as npt
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from prismhouse.server.app import create_app
from prismhouse.server.wiring import House, build
from prismhouse.settings import Settings

Array = npt.NDArray[np.float64]
METRICS = ("cosine", "dot_product", "euclidean")
NUMBERS = st.integers(-40, 40).map(lambda n: n / 8)
VECTORS = st.lists(NUMBERS, min_size=3, max_size=3)
SPARSE = st.dictionaries(st.integers(0, 9), st.integers(1, 40).map(lambda n: n / 8), min_size=1, max_size=5)
_SPACE = "property"


def similarity(query: Array, rows: Array, metric: str) -> Array:
    """Return how near each query vector is to each row."""
    if metric == "dot_product":
        return query @ rows.T
    if metric == "euclidean":
        return 1 / (1 + np.linalg.norm(query[:, None] - rows[None], axis=2))
    return (query @ rows.T) / np.linalg.norm(query, axis=1)[:, None] / np.linalg.norm(rows, axis=1)


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, list[Any], Any, list[float]]:
    """Return the name of an index, a vector for each document, a query, and the score of each document."""
    kind, metric = draw(st.sampled_from(["dense", "multi", "sparse"])), draw(st.sampled_from(METRICS))
    count = draw(st.integers(1, 12))
    if kind == "sparse":
        sent = draw(st.lists(SPARSE, min_size=count, max_size=count))
        asked = draw(SPARSE)
        scores = [sum(value * row.get(place, 0) for place, value in asked.items()) for row in sent]
        return "sparse", [_sparse(row) for row in sent], _sparse(asked), scores
    several = st.lists(VECTORS, min_size=1, max_size=4 if kind == "multi" else 1)
    rows = [np.array(rows) for rows in draw(st.lists(several, min_size=count, max_size=count))]
    query = np.array(draw(several))
    assume(metric != "cosine" or all(np.all(np.any(one, axis=1)) for one in (query, *rows)))
    scores = [float(similarity(query, one, metric).max(axis=1).sum()) for one in rows]
    if kind == "multi":
        return f"multi_{metric}", [one.tolist() for one in rows], query.tolist(), scores
    return f"dense_{metric}", [one[0].tolist() for one in rows], query[0].tolist(), scores


def _sparse(row: dict[int, float]) -> dict[str, Any]:
    return {"indices": list(row), "values": list(row.values())}


async def searched(client: httpx2.AsyncClient, case: tuple[str, list[Any], Any, list[float]]) -> list[dict[str, Any]]:
    """Replace all documents by those of the case; return what the search for its query finds."""
    name, sent, query, _ = case
    documents = [{"document_id": f"d{n}", "vectors": {name: one}} for n, one in enumerate(sent)]
    rest = [{"document_id": f"d{n}", "vectors": {}} for n in range(len(sent), 12)]
    written = await client.post(f"/v1/namespaces/{_SPACE}/documents/upsert", json={"documents": documents + rest})
    assert written.status_code == 200, written.text
    searches = [{"feature_uri": name, "query": {"input_mode": "vector", "value": query}, "top_k": 50}]
    config = {"stage_id": "feature_search", "parameters": {"searches": searches, "final_top_k": 50}}
    stage = {"stage_name": "search", "stage_type": "filter", "config": config}
    found = await client.post("/v1/retrievers/execute", json={"stages": [stage], "inputs": {}, "limit": 50})
    assert found.status_code == 200, found.text
    return found.json()["documents"]  # type: ignore[no-any-return]


async def opened(dsn: str, folder: Path) -> tuple[House, httpx2.AsyncClient]:
    """Return a house and a client in a namespace with an index of every kind and metric."""
    house = build(Settings(data_dir=folder), dsn)
    await house.open()
    _, key = await house.organizations.create(name="mine")
    client = httpx2.AsyncClient(
        transport=httpx2.ASGITransport(create_app(house)),
        base_url="http://house",
        headers={"Authorization": f"Bearer {key}", "X-Namespace": _SPACE},
    )
    configs = [
        {"name": f"{kind}_{metric}", "dimension": 3, "metric": metric}
        for kind in ("dense", "multi")
        for metric in METRICS
    ]
    configs.append({"name": "sparse", "dimension": 10, "metric": "dot_product"})
    made = await client.post("/v1/namespaces/standalone", json={"namespace_id": _SPACE, "vector_configs": configs})
    assert made.status_code == 200, made.text
    return house, client


def test_the_order_is_that_of_an_exact_scan_for_any_vectors(dsn: str, tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        house, client = runner.run(opened(dsn, tmp_path))

        @settings(max_examples=60, suppress_health_check=[HealthCheck.filter_too_much])
        @given(case=cases())
        def check(case: tuple[str, list[Any], Any, list[float]]) -> None:
            name, _, _, scores = case
            found = runner.run(searched(client, case))
            expected = [score for score in scores if name != "sparse" or score]
            assert np.allclose([one["score"] for one in found], sorted(expected, reverse=True), atol=2e-3)
            for one in found:
                assert abs(one["score"] - scores[int(one["document_id"][1:])]) < 2e-3

        check()
        runner.run(client.aclose())
        runner.run(house.close())

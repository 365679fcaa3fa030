"""One stored search for each namespace: every vector that texts can ask, and the words themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from prismhouse.cli.batch.server import NotFound, Server
from prismhouse.cli.ingest.known import pages
from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["NAME", "NothingThere", "ready"]

NAME = "prismhouse-search"
_MOST_SEARCHES = 10
_MOST_COLLECTIONS = 100
_CANDIDATES = 50


class NothingThere(WarehouseError):
    """Namespace {namespace} has no collection that can be searched with words."""

    code = Code.NOT_FOUND
    hint = "Fill it: prismhouse ingest FOLDER --namespace {namespace}"


def ready(server: Server, namespace: str) -> str:
    """Return the id of the namespace's retriever, which fits its collections; raise NothingThere."""
    collections = list(pages(server, "/v1/collections/list", {}))[:_MOST_COLLECTIONS]
    body = _retriever([each for each in collections if _features(each)])
    if not body["collection_identifiers"]:
        raise NothingThere(namespace=namespace)
    try:
        found = server.get(f"/v1/retrievers/{quote(NAME, safe='')}")
    except NotFound:
        found = server.post("/v1/retrievers", body)
        return str(found["retriever_id"])
    # What is stored has defaults filled in; what was asked for is kept beside it, to be compared.
    if (found.get("metadata") or {}).get("made_of") != body["metadata"]["made_of"]:
        changes = {key: body[key] for key in ("collection_identifiers", "stages", "metadata")}
        server.patch(f"/v1/retrievers/{found['retriever_id']}", changes)
    return str(found["retriever_id"])


def _retriever(collections: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    by_feature: dict[str, list[str]] = {}
    # A document with two vectors would count twice: each is worth half.
    weights: dict[str, float] = {}
    for collection in collections:
        features = _features(collection)
        for feature in features:
            by_feature.setdefault(feature, []).append(str(collection["collection_id"]))
            weights[feature] = min(weights.get(feature, 1.0), 1 / len(features))
    ids = sorted(str(collection["collection_id"]) for collection in collections)
    query = {"input_mode": "text", "value": "{{INPUT.query}}"}
    common = {"query": query, "top_k": _CANDIDATES}
    searches: list[dict[str, Any]] = [
        {"feature_uri": feature, "collection_identifiers": sorted(of), "weight": weights[feature], **common}
        for feature, of in sorted(by_feature.items())[: _MOST_SEARCHES - 1]
    ]
    if searches:
        searches.append({"feature_uri": searches[0]["feature_uri"], "lexical": True, **common})
    parameters = {"searches": searches, "final_top_k": _CANDIDATES, "fusion": "rrf"}
    return {
        "retriever_name": NAME,
        "description": "Made by `prismhouse search`, and kept in step with the collections.",
        "collection_identifiers": ids,
        "input_schema": {"query": {"type": "string", "required": True}},
        "stages": [{"stage_name": "search", "config": {"stage_id": "feature_search", "parameters": parameters}}],
        "metadata": {"made_of": {"collections": ids, "searches": searches}},
    }


def _features(collection: Mapping[str, Any]) -> list[str]:
    """Return the addresses of the collection's vectors that a text can ask."""
    return [
        str(index["feature_uri"])
        for index in collection.get("vector_indexes") or ()
        if "text" in _inputs(index) and index.get("feature_uri")
    ]


def _inputs(index: Mapping[str, Any]) -> Sequence[str]:
    return index.get("supported_inputs") or (index.get("index") or {}).get("supported_inputs") or ()

"""What stands for an extractor in collections whose documents and vectors users bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prismhouse.api.collections.model.features import told_inputs

__all__ = ["BROUGHT", "BROUGHT_EXTRACTOR", "brought_uri", "describe_brought"]

BROUGHT = "own_vectors"
_DISTANCES = {"cosine": "cosine", "dot_product": "dot", "euclidean": "euclidean"}
_TYPES = {"dense": "dense", "multi": "multi_dense", "sparse": "sparse"}
BROUGHT_EXTRACTOR: Mapping[str, Any] = {
    "feature_extractor_name": BROUGHT,
    "version": "v1",
    "feature_extractor_id": f"{BROUGHT}_v1",
    "parameters": {},
    "input_mappings": {},
    "field_passthrough": [],
    "include_all_source_fields": False,
}


def brought_uri(name: str) -> str:
    """Return the feature URI of the vectors of this name; searches may use the name alone."""
    return f"mixpeek://{BROUGHT}@v1/{name}"


def describe_brought(configs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the `vector_indexes` of a collection: one entry for each vector of the namespace whose kind is known.

    `modalities` of a config say what its inference service takes beside vectors.
    """
    return [
        {
            "name": config["name"],
            "feature_uri": brought_uri(config["name"]),
            "type": "single",
            "source": "namespace_vector_config",
            "index": {
                "name": config["name"],
                "dimensions": config["dimension"],
                "distance": _DISTANCES[config["metric"]],
                "inference_name": config.get("inference_service") or BROUGHT,
                "datatype": "float32" if config["type"] == "sparse" else "float16",
                "type": _TYPES[config["type"]],
                "supported_inputs": told_inputs([*config.get("modalities", ()), "vector"]),
                "model": config.get("inference_service") or "",
            },
        }
        for config in configs
        if config.get("type")
    ]

"""Collections as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prismhouse.api.collections.model import CollectionRow
from prismhouse.api.collections.model.brought import BROUGHT
from prismhouse.api.collections.model.features import told_inputs
from prismhouse.api.collections.service import Counted
from prismhouse.engine.extractors.port import ExtractorRecord
from prismhouse.kit.clock import iso

_HIDDEN = "********"
__all__ = ["collection_answer", "features_answer", "menu_answer"]

FreeForm = dict[str, Any]
_INDEXING = {None: "unknown", False: "quiesced", True: "indexing"}


def collection_answer(counted: Counted) -> FreeForm:
    """Return a CollectionResponse."""
    row, documents = counted.row, counted.documents
    config = row.config
    extractor = dict(row.feature_extractor)
    if row.extractor_name == BROUGHT:
        extractor["parameters"] = None
    else:
        extractor["parameters"] = {"extractor_type": row.extractor_name, **_shown(extractor["parameters"])}
    return {
        "collection_id": row.collection_id,
        "collection_name": row.name,
        "description": row.description,
        "input_schema": row.input_schema,
        "output_schema": row.output_schema,
        "feature_extractor": extractor,
        "source": row.source,
        "source_bucket_schemas": config.get("source_bucket_schemas"),
        "source_lineage": config.get("source_lineage", []),
        "index_map": config.get("index_map"),
        "vector_indexes": [_told(index) for index in row.vector_indexes],
        "payload_indexes": [],
        "embedding_task": config.get("embedding_task"),
        "enabled": row.enabled,
        "disabled_reason": row.disabled_reason,
        "metadata": row.metadata,
        "schedule": config.get("schedule"),
        "trigger_id": None,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "lifecycle_state": "active",
        "last_lifecycle_transition": None,
        "tiering_rules": None,
        "tiering": config.get("tiering"),
        "document_count": documents,
        "vector_count": documents * len(row.vector_indexes),
        "schema_version": row.schema_version,
        "last_schema_sync": None,
        "schema_sync_enabled": config.get("schema_sync_enabled", True),
        "document_schema": config.get("document_schema"),
        "schema_validation": config.get("schema_validation") or "off",
        "taxonomy_applications": config.get("taxonomy_applications"),
        "cluster_applications": config.get("cluster_applications"),
        "alert_applications": config.get("alert_applications"),
        "retriever_enrichments": config.get("retriever_enrichments"),
        "retriever_transform": None,
        "taxonomy_count": len(config.get("taxonomy_applications") or ()),
        "retriever_count": None,
        "indexing_status": _INDEXING[counted.indexing],
        "indexing_status_scoped": counted.indexing is not None,
        "warnings": config.get("warnings") or None,
    }


def features_answer(row: CollectionRow) -> FreeForm:
    """Return a DescribeCollectionFeaturesResponse."""
    return {
        "features": [
            {
                "feature_uri": index["feature_uri"],
                "feature_address": index["feature_uri"],
                "feature_extractor_name": row.extractor_name,
                "version": row.extractor_version,
                "vector_index": _index_answer(index),
                "primary": position == 0,
            }
            for position, index in enumerate(row.vector_indexes)
        ]
    }


def _told(index: Mapping[str, Any]) -> FreeForm:
    """Return a stored entry; older ones name a vector as it is named inside."""
    inner = index.get("index")
    if not isinstance(inner, Mapping) or "supported_inputs" not in inner:
        return dict(index)
    return {**index, "index": {**inner, "supported_inputs": told_inputs(inner["supported_inputs"] or ())}}


def _index_answer(index: Mapping[str, Any]) -> FreeForm:
    inner = index["index"]
    return {
        "name": inner["name"],
        "description": f"Vectors of {inner['inference_name']}, {inner['dimensions']} dimensions.",
        "dimensions": inner["dimensions"],
        "type": inner.get("type", "dense"),
        "distance": inner["distance"],
        "datatype": None if inner.get("datatype") == "float16" else inner.get("datatype", "float32"),
        "supported_inputs": told_inputs(inner.get("supported_inputs") or ()),
        "inference_name": inner["inference_name"],
    }


def menu_answer(features: Sequence[tuple[str, ExtractorRecord]]) -> FreeForm:
    """Return a FeatureDiscoveryResponse: features by the file type they search."""
    by_modality: dict[str, list[FreeForm]] = {}
    for key, record in features:
        entry = {
            "key": key,
            "description": record.description,
            "feature_extractor_id": record.extractor_id,
            "rate": 0,
        }
        for kind in dict.fromkeys(kind for kinds in record.input_types.values() for kind in kinds):
            by_modality.setdefault(kind, []).append(entry)
    modalities = [{"modality": kind, "features": entries} for kind, entries in by_modality.items()]
    return {"modalities": modalities, "custom_features": [], "full_res_multiplier": 1.0}


def _shown(parameters: Mapping[str, Any]) -> FreeForm:
    """Return parameters without the values of headers, which may be credentials."""
    headers = parameters.get("custom_headers")
    return {**parameters, "custom_headers": dict.fromkeys(headers, _HIDDEN)} if headers else dict(parameters)

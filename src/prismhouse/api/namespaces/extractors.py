"""Extractors as the lists of an organization and a namespace show them: built-in, custom, and those that failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prismhouse.engine.extractors.custom import Broken
from prismhouse.engine.extractors.port import ExtractorRecord

__all__ = ["broken_extractor", "discovered", "extractor", "extractor_list"]


def extractor(record: ExtractorRecord, described: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of an extractor that can be used."""
    if record.source == "builtin":
        return dict(described)
    return {**described, "plugin_id": record.extractor_id, "deployed": True, "validation_status": "passed"}


def broken_extractor(broken: Broken) -> dict[str, Any]:
    """Return the entry of one that cannot be used; the description says why."""
    return {
        "feature_extractor_name": broken.name,
        "version": broken.version,
        "feature_extractor_id": broken.extractor_id,
        "source": "custom",
        "description": broken.error().message,
        "category": "general",
        "icon": "box",
        "input_schema": {},
        "output_schema": {},
        "parameter_schema": {},
        "supported_input_types": [],
        "expected_input_types": {},
        "max_inputs": {},
        "default_parameters": {},
        "required_vector_indexes": [],
        "required_payload_indexes": [],
        "position_fields": [],
        "capabilities": [],
        "realtime_available": False,
        "serve_apps": [],
        "plugin_id": broken.extractor_id,
        "deployed": False,
        "validation_status": "failed",
    }


def extractor_list(entries: Sequence[Mapping[str, Any]], *, source: str, namespace_id: str) -> dict[str, Any]:
    """Return those of one source, or `all`; `namespace_id` is empty where none is meant."""
    shown = [dict(one) for one in entries if source in ("all", one["source"])]
    custom = sum(one["source"] == "custom" for one in shown)
    return {
        "success": True,
        "extractors": shown,
        "total": len(shown),
        "namespace_id": namespace_id,
        "builtin_count": len(shown) - custom,
        "custom_count": custom,
    }


_SHARED = (
    "version",
    "description",
    "input_schema",
    "parameter_schema",
    "output_schema",
    "costs",
    "type_mode",
    "expected_input_types",
    "inference_type",
    "supported_input_types",
    "max_inputs",
    "default_parameters",
    "required_vector_indexes",
    "position_fields",
    "capabilities",
    "realtime_available",
    "serve_apps",
)


def discovered(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of an extractor as programs that choose one are told of it."""
    indexes = entry["required_vector_indexes"] or []
    return {
        "name": entry["feature_extractor_name"],
        **{key: entry.get(key) for key in _SHARED},
        "supported_modalities": list(entry["supported_input_types"]),
        "output_features": [
            {
                "feature_uri": index["feature_uri"],
                "name": index["name"],
                "dimensions": index["index"]["dimensions"],
                "distance": index["index"]["distance"],
            }
            for index in indexes
        ],
        "example_usage": entry.get("example_usage") or {},
    }

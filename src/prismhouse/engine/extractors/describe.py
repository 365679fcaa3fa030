"""The catalogue's entry of an extractor, as the API answers it."""

from __future__ import annotations

from typing import Any

from prismhouse.engine.extractors.port import ExtractorRecord, VectorOutput

__all__ = ["describe"]

_PURPOSES = {"text": "text", "image": "image"}


def describe(record: ExtractorRecord) -> dict[str, Any]:
    """Return every key of the API's extractor entry. `feature_uri` is that of the primary vector, or None."""
    primary = next((output for output in record.vector_outputs if output.primary), None)
    types = list(dict.fromkeys(kind for kinds in record.input_types.values() for kind in kinds))
    return {
        "feature_extractor_name": record.name,
        "version": record.version,
        "feature_extractor_id": record.extractor_id,
        "source": record.source,
        "description": record.description,
        "category": record.category,
        "icon": record.icon,
        "input_schema": dict(record.input_schema),
        "output_schema": dict(record.output_schema),
        "parameter_schema": dict(record.parameter_schema),
        "supported_input_types": types,
        "expected_input_types": {name: kinds[0] for name, kinds in record.input_types.items() if kinds},
        "max_inputs": dict(record.max_inputs),
        "type_mode": record.type_mode,
        "default_parameters": dict(record.default_parameters),
        "costs": dict(record.costs) if record.costs else None,
        "required_vector_indexes": [_vector_index(record, output) for output in record.vector_outputs],
        "required_payload_indexes": [],
        "position_fields": list(record.position_fields),
        "feature_uri": record.feature_uri(primary) if primary else None,
        "capabilities": ["batch", "realtime"] if primary else ["batch"],
        "inference_type": record.inference_type,
        "realtime_available": primary is not None,
        "serve_apps": [],
        "example_usage": dict(record.example_usage) if record.example_usage else None,
    }


def _vector_index(record: ExtractorRecord, output: VectorOutput) -> dict[str, Any]:
    queried = " or ".join(output.query_modalities)
    description = f"Vector of {record.name}, made by {output.model}, queried by {queried}."
    return {
        "feature_uri": record.feature_uri(output),
        "name": output.storage_name,
        "description": description,
        "type": "single",
        "index": {
            "name": output.storage_name,
            "description": description,
            "dimensions": output.dimensions,
            "type": "dense",
            "distance": output.distance,
            "datatype": "float32",
            "on_disk": False,
            "supported_inputs": ["array" if kind == "vector" else kind for kind in output.query_modalities],
            "inference_name": output.model,
            "purpose": _PURPOSES.get(record.category, "multimodal"),
        },
    }

"""Models as the API answers them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prismhouse import __version__
from prismhouse.kit.clock import iso

__all__ = [
    "available_item",
    "namespace_detail",
    "namespace_item",
    "organization_detail",
    "organization_item",
]

_INPUT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


def _registry(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "registry_id": row["model_id"],
        "shared_model_key": row["sha256"],
        "inference_service_id": row["model_id"],
    }


def _tiering(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"tier": "warm", "archive_bytes": row["size_bytes"]}


def _is_exportable(row: Mapping[str, Any]) -> bool:
    return bool(row["source"] == "customer")


def _output(row: Mapping[str, Any]) -> dict[str, Any] | None:
    if not row["dimensions"]:
        return None
    vector = {
        "type": "array",
        "items": {"type": "number"},
        "minItems": row["dimensions"],
        "maxItems": row["dimensions"],
    }
    return {"type": "object", "properties": {"embedding": vector}}


def organization_item(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line of the organization's list."""
    return {
        "model_id": row["model_id"],
        "name": row["name"],
        "version": row["version"],
        "model_format": row["model_format"],
        "description": row["description"],
        "source": row["source"],
        "exportable": _is_exportable(row),
        "framework": row["framework"],
        "task_type": row["task_type"],
        "deployed": row["deployed_at"] is not None,
        "validation_status": "passed",
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
        "registry": _registry(row),
        "tiering": _tiering(row),
    }


def organization_detail(row: Mapping[str, Any], *, archive_url: str) -> dict[str, Any]:
    """Return one model of the organization."""
    return {
        **organization_item(row),
        "organization_id": row["organization_id"],
        "license": None,
        "s3_archive_url": archive_url,
        "model_hash": row["sha256"],
        "validation_errors": [],
        "validation_traceback": None,
        "validation": {"files": row["files"]},
        "deployment_info": _organization_deployment(row),
        "embedding_dim": row["dimensions"] or None,
        "input_schema": _INPUT,
        "output_schema": _output(row),
        "resource_requirements": row["resource_requirements"],
    }


def _organization_deployment(row: Mapping[str, Any]) -> dict[str, Any] | None:
    if row["deployed_at"] is None:
        return None
    return {"ray_cluster_url": None, "ray_deployment_name": None, "deployed_at": iso(row["deployed_at"])}


def namespace_item(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line of a namespace's list. `endpoint` is what `embedding_model` takes."""
    deployed = row["status"] == "deployed"
    return {
        "model_id": row["model_id"],
        "name": row["name"],
        "version": row["version"],
        "model_format": row["model_format"],
        "source": row["source"],
        "framework": row["framework"],
        "task_type": row["task_type"],
        "deployed": deployed,
        "endpoint": row["model_id"] if deployed else None,
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["changed_at"]),
    }


def namespace_detail(row: Mapping[str, Any], *, namespace_id: str, archive_url: str) -> dict[str, Any]:
    """Return one model as a namespace sees it."""
    info = None
    if row["status"] == "deployed":
        info = {
            "ray_cluster_url": None,
            "ray_deployment_name": None,
            "endpoint": row["model_id"],
            "base_image": f"prismhouse {__version__}",
            "deployed_at": iso(row["deployed_at"]),
        }
    return {
        "model_id": row["model_id"],
        "namespace_id": namespace_id,
        "name": row["name"],
        "version": row["version"],
        "model_archive_url": archive_url,
        "model_format": row["model_format"],
        "model_hash": row["sha256"],
        "deployed": row["status"] == "deployed",
        "deployment_info": info,
        "framework": row["framework"],
        "task_type": row["task_type"],
        "input_schema": _INPUT,
        "output_schema": _output(row),
        "resource_requirements": row["resource_overrides"] or row["resource_requirements"],
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["changed_at"]),
    }


def available_item(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line of what a namespace may enable."""
    return {
        "model_id": row["model_id"],
        "name": row["name"],
        "version": row["version"],
        "model_format": row["model_format"],
        "description": row["description"],
        "framework": row["framework"],
        "task_type": row["task_type"],
        "enabled_in_namespace": row["enabled"],
    }

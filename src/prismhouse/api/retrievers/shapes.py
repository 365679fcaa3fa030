"""Answers that are neither a retriever nor the result of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from prismhouse.api.retrievers.model import Retriever
from prismhouse.kit.clock import iso
from prismhouse.query.definition import StageSpec
from prismhouse.query.stages.port import StageRecord

__all__ = ["execution_answer", "explain_answer", "stage_answer"]

# Rough durations, for comparing stages of one plan with each other.
_TYPICAL_MS = {"feature_search": 5.0, "attribute_filter": 1.0}


def stage_answer(record: StageRecord) -> dict[str, Any]:
    """Return a stage as the registry lists it."""
    return {
        "stage_id": record.stage_id,
        "description": record.description,
        "category": record.category,
        "icon": record.icon,
        "parameter_schema": record.parameters.model_json_schema(),
    }


def execution_answer(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a past run: what was kept of it, which is not its documents."""
    mode = {} if row["retriever_id"] else {"execution_mode": "adhoc"}
    return {
        "execution_id": row["execution_id"],
        "retriever_id": row["retriever_id"] or "",
        "status": row["status"],
        "created_at": iso(row["created_at"] - timedelta(milliseconds=row["duration_ms"])),
        "completed_at": iso(row["created_at"]),
        "duration_ms": row["duration_ms"],
        "credits_used": 0.0,
        "total_processed": row["returned"],
        "total_returned": row["returned"],
        "cache_hit_rate": 0.0,
        "inputs_hash": row["inputs_hash"],
        "documents_retained": False,
        "error": row["error"],
        **mode,
    }


def explain_answer(retriever: Retriever, stages: Sequence[StageSpec]) -> dict[str, Any]:
    """Return the plan: sizes from the parameters, durations as typical of a stage."""
    plan: list[dict[str, Any]] = []
    flowing = 0
    for number, spec in enumerate(stages):
        size = spec.raw.get("final_top_k", spec.raw.get("limit"))
        known = size if isinstance(size, int) else 25
        output = known if spec.record.retrieves and flowing == 0 else min(flowing, known if size else flowing)
        plan.append(
            {
                "stage_index": number,
                "stage_name": spec.name,
                "stage_type": spec.record.category,
                "estimated_input": flowing,
                "estimated_output": output,
                "estimated_efficiency": output / flowing if flowing else 0.0,
                "estimated_cost_credits": 0.0,
                "estimated_duration_ms": _TYPICAL_MS.get(spec.record.stage_id, 0.1),
                "cache_likely": False,
                "optimization_notes": [],
                "warnings": [],
            }
        )
        flowing = output
    slowest = max(step["estimated_duration_ms"] for step in plan)
    return {
        "retriever_id": retriever.retriever_id,
        "retriever_name": retriever.name,
        "estimated_cost": {
            "total_credits": 0.0,
            "total_duration_ms": sum(step["estimated_duration_ms"] for step in plan),
        },
        "execution_plan": plan,
        "optimization_suggestions": [],
        "total_estimated_stages": len(plan),
        "bottleneck_stages": [s["stage_name"] for s in plan if s["estimated_duration_ms"] >= 0.8 * slowest],
        "optimization_level": "mvp",
        "optimization_applied": False,
    }

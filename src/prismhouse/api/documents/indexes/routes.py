"""HTTP operations on payload indexes: have them built, and see which fields would gain from one."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Query

from prismhouse.api.documents.indexes.service import PayloadIndexes
from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.caller import Caller, Callers, NamespaceCaller

__all__ = ["routes"]

_ANALYTICS: list[Any] = ["Analytics", "Analytics - Indexes"]


def routes(service: PayloadIndexes, callers: Callers) -> APIRouter:
    """Return the routes of payload indexes."""
    router = APIRouter()

    @router.post(
        "/v1/namespaces/{namespace_identifier}/ensure-indexes",
        operation_id="ensure_namespace_indexes",
        tags=["Namespaces"],
        summary="Build the payload indexes that are declared and missing",
    )
    async def ensure(
        namespace_identifier: str,
        force_rebuild: bool = False,
        caller: Caller = Depends(callers.organization("write")),
    ) -> Answer:
        return answer(await service.ensure(caller, namespace_identifier, rebuild=force_rebuild))

    @router.get(
        "/v1/analytics/indexes/usage",
        operation_id="get_field_usage_analytics_indexes",
        tags=_ANALYTICS,
        summary="How often queries named fields without an index",
    )
    async def usage(
        period: str = Query("24h", pattern=r"^(\d{1,3}h|\d{1,2}d)$"),
        min_count: int = Query(1, ge=1, le=10_000),
        caller: NamespaceCaller = Depends(callers.namespace("read")),
    ) -> Answer:
        hours = int(period[:-1]) * (24 if period.endswith("d") else 1)
        found = await service.usage(caller.scope, hours=hours, least=min_count)
        indexed = sum(one["is_indexed"] for one in found)
        content = {
            "namespace_id": caller.namespace_id,
            "period": period,
            "fields": [_used(one) for one in found],
            "total_fields": len(found),
            "indexed_fields": indexed,
            "unindexed_fields": len(found) - indexed,
        }
        return answer(content)

    @router.get(
        "/v1/analytics/indexes/suggestions",
        operation_id="get_index_suggestions_analytics_indexes",
        tags=_ANALYTICS,
        summary="Fields that queries name often and that have no index",
    )
    async def suggestions(
        hours: int = Query(24, ge=1, le=720),
        min_count: int = Query(100, ge=1, le=10_000),
        caller: NamespaceCaller = Depends(callers.namespace("read")),
    ) -> Answer:
        found = await service.usage(caller.scope, hours=hours, least=min_count)
        content = {
            "namespace_id": caller.namespace_id,
            "analysis_period": f"{hours}h",
            "suggestions": [_suggested(one) for one in found if not one["is_indexed"]],
            "auto_create_enabled": await service.adopts(caller.scope),
            "next_auto_create_run": None,
        }
        return answer(content)

    return router


def _used(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "field_name": row["field_name"],
        "query_count": row["queries"],
        "unique_queries": row["queries"],
        "is_indexed": row["is_indexed"],
        "is_protected": False,
        "avg_latency_ms": row["average_ms"],
        "p95_latency_ms": row["slowest_ms"],
        "first_seen": row["first_used_at"],
        "last_seen": row["last_used_at"],
    }


def _suggested(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "field_name": row["field_name"],
        "query_count_24h": row["queries"],
        "query_count_7d": None,
        "suggested_type": row["suggested_type"],
        "is_indexed": row["is_indexed"],
        "first_seen": row["first_used_at"],
        "last_seen": row["last_used_at"],
        "estimated_performance_gain": None,
    }

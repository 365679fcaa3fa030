"""Tasks over HTTP. Routes of the organization; X-Namespace, when it is given, narrows the list."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request

from prismhouse.api.tasks.schemas import ListTasks
from prismhouse.api.tasks.service import Tasks
from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.body import body_of, body_schema
from prismhouse.api.web.caller import Caller, Callers, namespace_named
from prismhouse.api.web.paging import page_of, pagination

__all__ = ["routes"]

_TAGS: list[Any] = ["Tasks"]


def routes(service: Tasks, callers: Callers) -> APIRouter:
    """Return the routes of tasks."""
    router = APIRouter()

    @router.post(
        "/v1/tasks/list",
        operation_id="list_tasks",
        tags=_TAGS,
        summary="List tasks",
        openapi_extra=body_schema(ListTasks, required=False),
    )
    async def list_tasks(
        request: Request,
        caller: Caller = Depends(callers.organization("read")),
        body: ListTasks = Depends(body_of(ListTasks)),
    ) -> Answer:
        page = page_of(request, body)
        results, total, cursor = await service.list(
            caller.organization_id, body, page, namespace=namespace_named(request), patterns=caller.namespaces
        )
        return answer({"results": results, "pagination": pagination(page, total=total, next_cursor=cursor)})

    @router.get("/v1/tasks/{task_id}", operation_id="get_task", tags=_TAGS, summary="Get a task")
    async def get_task(task_id: str, caller: Caller = Depends(callers.organization("read"))) -> Answer:
        return answer(await service.read(caller.organization_id, task_id, patterns=caller.namespaces))

    @router.post("/v1/tasks/{task_id}/kill", include_in_schema=False)
    @router.delete("/v1/tasks/{task_id}", operation_id="kill_task", tags=_TAGS, summary="Stop a task's work")
    async def kill_task(task_id: str, caller: Caller = Depends(callers.organization("delete"))) -> Answer:
        message = await service.kill(caller.organization_id, task_id, caller=caller)
        return answer({"message": message, "success": True})

    return router

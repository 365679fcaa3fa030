"""Request shapes of tasks."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from prismhouse.api.web.body import RequestModel
from prismhouse.api.web.paging import PagingKeys

__all__ = ["ListTasks"]


class ListTasks(RequestModel, PagingKeys):
    """Body of the list. `status` and `task_type` are taken in either case."""

    status: str | None = Field(None, max_length=64)
    task_type: str | None = Field(None, max_length=128)
    namespace_id: str | None = Field(None, max_length=128)
    filters: dict[str, Any] | None = None
    sort: dict[str, Any] | None = None
    search: str | None = Field(None, max_length=500)

"""Bodies of requests for figures."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from prismhouse.api.web.body import RequestModel

__all__ = ["DistinctValues"]


class DistinctValues(RequestModel):
    """The values of one field."""

    field: str = Field(min_length=1)
    filters: Any = None
    limit: int | None = Field(None, ge=1, le=10_000)

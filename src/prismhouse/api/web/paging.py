"""Paging as the API has it: limit or page_size, offset or page, or a cursor; body values win over query values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import Request
from pydantic import BaseModel, Field

from prismhouse.kit.errors import Invalid, field_fault

__all__ = ["MAX_LIMIT", "Page", "PagingKeys", "page_of", "pagination"]

MAX_LIMIT = 1000
MAX_OFFSET = 10_000


class PagingKeys(BaseModel):
    """Paging keys that lists accept in the body too (the official client sends them there)."""

    limit: int | None = Field(None, ge=1, le=MAX_LIMIT)
    page_size: int | None = Field(None, ge=1, le=MAX_LIMIT)
    offset: int | None = Field(None, ge=0, le=MAX_OFFSET)
    page: int | None = Field(None, ge=1)
    cursor: str | None = None
    next_cursor: str | None = None
    after: str | None = None
    include_total: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What to give: `limit` rows from `offset`, or after `cursor`."""

    limit: int
    offset: int
    cursor: str | None
    include_total: bool


def page_of(
    request: Request, keys: PagingKeys | None = None, *, default_limit: int = 100, max_limit: int = MAX_LIMIT
) -> Page:
    """Merge body keys and query parameters; raise Invalid naming the parameter out of range."""
    query = request.query_params
    given = keys.model_dump(exclude_none=True, include=set(PagingKeys.model_fields)) if keys is not None else {}

    def integer(name: str, low: int, high: int) -> int | None:
        value: Any = given.get(name, query.get(name))
        if value is None or value == "":
            return None
        try:
            number = int(value)
        except ValueError:
            number = low - 1
        if not low <= number <= high:
            raise Invalid([field_fault(["query", name], f"must be an integer from {low} to {high}")])
        return number

    limit = integer("limit", 1, max_limit) or integer("page_size", 1, max_limit) or default_limit
    offset = integer("offset", 0, MAX_OFFSET)
    page = integer("page", 1, MAX_OFFSET)
    if offset is None:
        offset = (page - 1) * limit if page else 0
        if offset > MAX_OFFSET:
            message = (
                f"pages end at row {MAX_OFFSET}; go on with `cursor`, the `pagination.next_cursor` of the page before"
            )
            raise Invalid([field_fault(["query", "page"], message)])
    cursor = next(
        (str(v) for name in ("cursor", "next_cursor", "after") if (v := given.get(name, query.get(name)))),
        None,
    )
    total = given.get("include_total", query.get("include_total", "false"))
    return Page(limit=limit, offset=offset, cursor=cursor, include_total=str(total).lower() in {"true", "1"})


def pagination(page: Page, *, total: int | None, next_cursor: str | None) -> dict[str, Any]:
    """Return the API's pagination object; totals are null unless they were asked for."""
    shown = total if page.include_total else None
    return {
        "total": shown,
        "page": page.offset // page.limit + 1,
        "page_size": page.limit,
        "total_pages": None if shown is None else -(-shown // page.limit),
        "next_page": None,
        "previous_page": None,
        "next_cursor": next_cursor,
    }

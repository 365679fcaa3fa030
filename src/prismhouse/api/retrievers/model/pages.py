"""Which part of a result set is answered: by cursor or by offset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prismhouse.kit.cursors import decode_cursor, encode_cursor
from prismhouse.kit.errors import Invalid, field_fault
from prismhouse.query.stages.port import NotBuilt

__all__ = ["MAX_LIMIT", "ResultPage", "page_answer", "result_page"]

MAX_LIMIT = 500
_KEYS = {
    "cursor": {"method", "limit", "cursor"},
    "offset": {"method", "page_size", "page_number"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultPage:
    """`fingerprint` ties a cursor to the run it came from."""

    method: str
    offset: int
    limit: int
    fingerprint: str


def result_page(
    pagination: Mapping[str, Any] | None, limit: int | None, *, default_limit: int, fingerprint: str
) -> ResultPage:
    """Return the page asked for; raise Invalid, or NotBuilt for scroll and keyset."""
    if pagination is None:
        return ResultPage(method="cursor", offset=0, limit=limit or default_limit, fingerprint=fingerprint)
    method = pagination.get("method", "cursor")
    if method in {"scroll", "keyset"}:
        raise NotBuilt(what=f"Pagination by {method}", instead="Use method cursor or offset.")
    if method not in _KEYS:
        raise Invalid([field_fault(["body", "pagination", "method"], "must be cursor or offset")])
    unknown = pagination.keys() - _KEYS[method]
    if unknown:
        message = f"unknown key; accepted: {', '.join(sorted(_KEYS[method]))}"
        raise Invalid([field_fault(["body", "pagination", min(unknown)], message, "extra_forbidden")])
    if method == "offset":
        size = _integer(pagination, "page_size", default_limit, MAX_LIMIT)
        number = _integer(pagination, "page_number", 1, 10_000)
        return ResultPage(method=method, offset=(number - 1) * size, limit=size, fingerprint=fingerprint)
    size = _integer(pagination, "limit", limit or default_limit, MAX_LIMIT)
    cursor = pagination.get("cursor")
    offset = decode_cursor(cursor, length=1, fingerprint=fingerprint)[0] if cursor else 0
    if not isinstance(offset, int) or not 0 <= offset <= 10_000:
        raise Invalid([field_fault(["body", "pagination", "cursor"], "is not a cursor of this run")])
    return ResultPage(method=method, offset=offset, limit=size, fingerprint=fingerprint)


def _integer(pagination: Mapping[str, Any], name: str, default: int, highest: int) -> int:
    value = pagination.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= highest:
        raise Invalid([field_fault(["body", "pagination", name], f"must be an integer from 1 to {highest}")])
    return value


def page_answer(page: ResultPage, *, returned: int, total: int) -> dict[str, Any]:
    """Return the `pagination` of an answer; `total` counts the documents before the page was cut."""
    end = page.offset + returned
    more = end < total
    if page.method == "offset":
        return {
            "method": "offset",
            "page_number": page.offset // page.limit + 1,
            "page_size": page.limit,
            "returned": returned,
            "total": total,
            "has_next": more,
        }
    return {
        "method": "cursor",
        "limit": page.limit,
        "returned": returned,
        "total": total,
        "cursor": encode_cursor([end], page.fingerprint) if more else None,
        "has_next": more,
    }

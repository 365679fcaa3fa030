"""What a list of namespaces may be asked: equality filters, one sort key, a keyset cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prismhouse.api.namespaces.schemas import ListNamespaces
from prismhouse.api.web.paging import Page
from prismhouse.kit.clock import iso
from prismhouse.kit.cursors import BadCursor, decode_cursor, encode_cursor
from prismhouse.kit.errors import Invalid, field_fault
from prismhouse.kit.ids import digest_id
from prismhouse.kit.json import dumps
from prismhouse.storage.postgres.database import Record

__all__ = ["Listing"]

_FILTERS = ("namespace_id", "namespace_name", "namespace_type", "mode", "description")
_SORTS = ("namespace_name", "namespace_id", "created_at", "updated_at", "description")
_TIMES = ("created_at", "updated_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A checked request for a list."""

    search: str | None
    case_sensitive: bool
    equal: dict[str, list[str]]
    sort: tuple[str, bool]
    page: Page
    after: list[Any] | None
    fingerprint: str

    @classmethod
    def of(cls, body: ListNamespaces, page: Page) -> Listing:
        """Check filters and sort; raise Invalid naming what is accepted."""
        equal = _equalities(body.filters or {})
        sort = _sort((body.sorts or [body.sort or {}])[0])
        asked = [body.search, body.case_sensitive, sorted(equal.items()), sort]
        fingerprint = digest_id("q", dumps(asked).decode())
        after = None if page.cursor is None else decode_cursor(page.cursor, length=2, fingerprint=fingerprint)
        if after is not None and not _is_position(after, timed=sort[0] in _TIMES):
            raise BadCursor
        return cls(
            search=body.search,
            case_sensitive=body.case_sensitive,
            equal=equal,
            sort=sort,
            page=page,
            after=after,
            fingerprint=fingerprint,
        )

    def query(self) -> dict[str, Any]:
        """Return the keyword arguments of the store's `page`; one row more tells whether there is a next page."""
        return {
            "search": self.search,
            "case_sensitive": self.case_sensitive,
            "equal": self.equal,
            "sort": self.sort,
            "after": self.after,
            "offset": self.page.offset if self.after is None else 0,
            "limit": self.page.limit + 1,
        }

    def next_cursor(self, rows: Sequence[Record]) -> str | None:
        """Return the cursor after the page's last row, or None at the end."""
        if len(rows) <= self.page.limit:
            return None
        last = rows[self.page.limit - 1]
        value = last["sort_value"]
        return encode_cursor([value if isinstance(value, str) else iso(value), last["namespace_id"]], self.fingerprint)


def _is_position(after: Sequence[Any], *, timed: bool) -> bool:
    if not all(isinstance(value, str) and "\x00" not in value for value in after):
        return False
    try:
        return not timed or datetime.fromisoformat(after[0]) is not None
    except ValueError:
        return False


def _equalities(filters: dict[str, Any]) -> dict[str, list[str]]:
    """Return column -> accepted values from `{field: value}` and from AND lists of `{field, operator, value}`."""
    found: dict[str, list[str]] = {}
    leaves = [{"field": name, "value": value} for name, value in filters.items() if name != "AND"]
    for leaf in [*leaves, *(filters.get("AND") or [])]:
        field = leaf.get("field") if isinstance(leaf, dict) else None
        value = leaf.get("value") if isinstance(leaf, dict) else None
        values: list[Any] = value if isinstance(value, list) else [value]
        known = field in _FILTERS and leaf.get("operator", "eq") in {"eq", "in"}
        if not known or not all(isinstance(one, str) for one in values):
            text = f"takes strings for {', '.join(_FILTERS)} with operator eq or in"
            raise Invalid([field_fault(["body", "filters", str(field)], text)])
        found[str(field)] = [one for one in values if str(field) not in found or one in found[str(field)]]
    return found


def _sort(option: dict[str, Any]) -> tuple[str, bool]:
    field = option.get("field", "created_at")
    direction = str(option.get("direction", "asc" if option else "desc")).lower()
    if field not in _SORTS or direction not in {"asc", "desc"}:
        text = f"field must be one of {', '.join(_SORTS)}; direction asc or desc"
        raise Invalid([field_fault(["body", "sort"], text)])
    return field, direction == "desc"

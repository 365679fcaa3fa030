"""What the bucket has of a folder already, from runs before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prismhouse.cli.batch.server import Server

__all__ = ["Known", "known", "pages"]

_PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An object of a file."""

    object_id: str
    path: str
    sha256: str
    status: str
    error: str

    @property
    def waits(self) -> bool:
        """Whether it is in no batch that has ended: its run was broken off."""
        return self.status not in {"COMPLETED", "FAILED"}


def known(server: Server, bucket_id: str) -> dict[tuple[str, str], Known]:
    """Return all objects of the bucket by path and SHA-256."""
    found = {}
    select = {"select": ["path", "content_hash", "status", "error", "object_id"]}
    for row in pages(server, f"/v1/buckets/{bucket_id}/objects/list", select):
        each = Known(
            object_id=str(row["object_id"]),
            path=str(row.get("path")),
            sha256=str(row.get("content_hash")),
            status=str(row.get("status")).upper(),
            error=str(row.get("error") or ""),
        )
        found[each.path, each.sha256] = each
    return found


def pages(server: Server, path: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the results of all pages of a list."""
    cursor: str | None = None
    while True:
        page = server.post(path, {**body, "limit": _PAGE, **({"cursor": cursor} if cursor else {})})
        yield from page["results"]
        cursor = (page.get("pagination") or page).get("next_cursor")
        if not cursor:
            return

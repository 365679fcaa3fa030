"""A set of annotations as of one instant, portion by portion: for training and evaluation.

The instant makes the portions one set. Nothing is held between them, neither rows nor a transaction: what is edited
or deleted meanwhile stands in the history, and what is created has a later time.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from prismhouse.api.annotations.model import JSON_FIELDS
from prismhouse.api.annotations.schemas import ListAnnotations
from prismhouse.api.annotations.service import history
from prismhouse.api.annotations.store import lists
from prismhouse.api.annotations.wire import without_revisions
from prismhouse.api.web.caller import NamespaceNotFound
from prismhouse.kit import json
from prismhouse.kit.clock import iso
from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.postgres.database import Database, Record

__all__ = ["PORTION", "Format", "export"]

PORTION = 1000
_FIRST = 125
_PORTION_BYTES = 8 * 2**20
_COLUMNS = [
    *("annotation_id", "document_id", "collection_id", "namespace_id", "label", "confidence", "reasoning", "payload"),
    *("metadata", "retriever_id", "execution_id", "stage_name", "actor_id", "actor_type", "created_at", "updated_at"),
    "version",
]
_HEAD = ",".join(_COLUMNS).encode() + b"\r\n"
# A spreadsheet runs a cell that begins with one of these. The apostrophe, which makes it text, is doubled by the
# same rule, so that dropping one leading apostrophe always gives the value back.
_RUNS = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "＝", "＋", "－", "＠")


class Format(StrEnum):
    """How annotations are written."""

    NDJSON = "ndjson"
    CSV = "csv"


async def export(
    db: Database, namespace_id: NamespaceId, request: ListAnnotations, shape: Format
) -> AsyncIterator[bytes]:
    """Return portions of bytes, newest annotation first; raise NamespaceNotFound when the namespace goes meanwhile."""
    filters = request.filters()
    moment = await history.settled(db, namespace_id)
    as_of = min(request.as_of or moment, moment)

    async def portion(after: lists.Position | None, limit: int) -> list[Record]:
        async with db.read() as unit:
            tx = unit.within(namespace_id)
            found = await lists.portion(tx, filters, as_of=as_of, after=after, limit=limit, most_bytes=_PORTION_BYTES)
            # Asked after the last rows were read: a set that was emptied meanwhile must not end like a whole one.
            if not found and not await lists.whole(tx):
                raise NamespaceNotFound(namespace_id)
            return found

    write, head = (_csv, _HEAD) if shape is Format.CSV else (_ndjson, b"")
    return _portions(await portion(None, _FIRST), portion, lambda found: write(namespace_id, found), head)


async def _portions(
    found: list[Record],
    portion: Callable[[lists.Position, int], Awaitable[list[Record]]],
    write: Callable[[list[Record]], bytes],
    head: bytes,
) -> AsyncIterator[bytes]:
    yield head + write(found)
    while found:
        last = found[-1]
        # The database looks at the size of each that it is asked for, and large ones come few at a time.
        found = await portion((last["created_at"], last["annotation_id"]), min(PORTION, 2 * len(found)))
        if found:
            yield write(found)


def _ndjson(namespace_id: NamespaceId, found: Sequence[Record]) -> bytes:
    return b"".join(json.dumps(without_revisions(namespace_id, state)) + b"\n" for state in found)


def _csv(namespace_id: NamespaceId, found: Sequence[Record]) -> bytes:
    lines = io.StringIO(newline="")
    # RFC 4180: CRLF between records, quotes doubled.
    writer = csv.writer(lines, lineterminator="\r\n")
    for state in found:
        row = {**state, "namespace_id": namespace_id}
        writer.writerow([_cell(name, row[name]) for name in _COLUMNS])
    return lines.getvalue().encode()


def _cell(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, str) and name not in JSON_FIELDS and value.startswith(_RUNS):
        return f"'{value}"
    return value

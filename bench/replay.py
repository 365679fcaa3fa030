"""Statements that a piece of the product sent, kept and sent again for other rows: what the database alone needs."""

from __future__ import annotations

import re
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

__all__ = ["Replay", "Sent", "recorded"]

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_IDS = re.compile(rf"\b(?:blob|evt|obj|upl)_[0-9a-zA-Z]+|\b[0-9a-f]{{64}}\b|\b[0-9a-f]{{32}}\b|\b{_UUID}\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One statement with its rows, or a commit where there is no text."""

    text: Any = None
    parameters: Any = None
    prepare: bool | None = None
    rows: int = 0


@asynccontextmanager
async def recorded() -> AsyncIterator[list[Sent]]:
    """Keep everything that asynchronous connections of this process send in transactions while the block runs."""
    sent: list[Sent] = []
    connection = psycopg.AsyncConnection
    execute, commit = connection.execute, connection.commit

    async def recording(self: Any, query: Any, params: Any = None, *, prepare: bool | None = None, **more: Any) -> Any:
        cursor = await execute(self, query, params, prepare=prepare, **more)
        if query:  # an empty one is the pool's, looking whether the connection lives
            sent.append(Sent(text=query, parameters=params, prepare=prepare, rows=cursor.rowcount))
        return cursor

    async def committing(self: Any) -> None:
        if sent and sent[-1].text is not None:
            sent.append(Sent())
        await commit(self)

    connection.execute = recording  # type: ignore[assignment, method-assign]
    connection.commit = committing  # type: ignore[method-assign]
    try:
        yield sent
    finally:
        connection.execute = execute  # type: ignore[method-assign]
        connection.commit = commit  # type: ignore[method-assign]


class Replay:
    """Sends recorded statements on one connection, each time for other rows.

    Args:
        dsn: the database.
        sent: what was recorded.
        settings: of the session, as the product sets them.
    """

    def __init__(self, dsn: str, sent: list[Sent], settings: Mapping[str, str]) -> None:
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        self._connection = psycopg.connect(dsn, row_factory=dict_row, options=options)
        self._sent = sent

    @property
    def statements(self) -> int:
        """How many statements there are, commits apart."""
        return sum(one.text is not None for one in self._sent)

    def seconds(self, names: Mapping[str, str]) -> float:
        """Send everything with other ids, and return how long it took until the last commit.

        Ids that `names` has become what it says, other ids become new ones. Ends the program when a statement touches
        another number of rows than it did when it was recorded: it would not be the same work.
        """
        known = dict(names)
        ready = [(one, _renamed(one.parameters, known)) for one in self._sent]
        touched = []
        began = time.perf_counter()
        for one, parameters in ready:
            if one.text is None:
                self._connection.commit()
                continue
            cursor = self._connection.execute(one.text, parameters, prepare=one.prepare)
            if cursor.description:
                cursor.fetchall()
            touched.append((one, cursor.rowcount))
        took = time.perf_counter() - began
        for one, rows in touched:
            if rows != one.rows:
                raise SystemExit(f"{rows} rows instead of {one.rows} by {one.text}")
        return took

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


def _renamed(value: Any, known: dict[str, str]) -> Any:
    if isinstance(value, str):
        return known.get(value) or _IDS.sub(lambda match: _new_id(match.group(), known), value)
    if isinstance(value, Jsonb):
        return Jsonb(_renamed(value.obj, known), value.dumps)
    if isinstance(value, Mapping):
        return {name: _renamed(item, known) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_renamed(item, known) for item in value]
    return value


def _new_id(old: str, known: dict[str, str]) -> str:
    if old not in known and "-" in old:
        known[old] = str(uuid.uuid4())
    elif old not in known:
        prefix, mark, digits = old.rpartition("_")
        known[old] = prefix + mark + secrets.token_hex(-(-len(digits) // 2))[: len(digits)]
    return known[old]

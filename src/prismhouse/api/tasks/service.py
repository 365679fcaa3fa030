"""Receipts: written in the transaction of the work they stand for, read and killed by their owner."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from prismhouse.api.tasks import store
from prismhouse.api.tasks.filters import condition
from prismhouse.api.tasks.model import TERMINAL, WAITING, known_status, known_type, ordering
from prismhouse.api.tasks.schemas import ListTasks
from prismhouse.api.web.caller import Caller
from prismhouse.api.web.paging import Page
from prismhouse.kit.clock import iso, utc_now
from prismhouse.kit.cursors import BadCursor, decode_cursor, encode_cursor
from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.kit.ids import NamespaceId, OrganizationId, TaskId, digest_id
from prismhouse.kit.json import dumps
from prismhouse.storage.postgres.database import Database, Reader, Record, Writer

__all__ = ["KillHandler", "Standing", "TaskNotFound", "Tasks"]

KillHandler = Callable[[OrganizationId, Record], Awaitable[None]]
Standing = Callable[[Reader, Sequence[Record]], Awaitable[Mapping[str, Mapping[str, Any]]]]
"""Says of tasks that wait, by id, what only their noun knows: queue_position, estimated_wait_minutes."""

_KEPT_SHORT = timedelta(hours=24)
_NOTE = "Retrieved from persistent storage: the task ended more than 24 hours ago."


class TaskNotFound(WarehouseError):
    """No task {id}."""

    code = Code.NOT_FOUND
    hint = "`POST /v1/tasks/list` lists yours."


class Tasks:
    """Tasks of an organization. `patterns` are the namespaces a key is limited to; None is no limit."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._on_kill: dict[str, KillHandler] = {}
        self._standing: dict[str, Standing] = {}

    def on_kill(self, task_type: str, handler: KillHandler) -> None:
        """Call `handler` when a running task of this type is killed: it stops the work and updates the task."""
        self._on_kill[task_type] = handler

    def on_wait(self, task_type: str, standing: Standing) -> None:
        """Ask `standing` how waiting tasks of this type stand when they are shown."""
        self._standing[task_type] = standing

    async def create(
        self,
        tx: Writer,
        *,
        organization_id: OrganizationId | str,
        namespace_id: NamespaceId | str | None,
        task_type: str,
        inputs: Sequence[Any],
        additional_data: Mapping[str, Any],
        description: str | None = None,
        status: str = "PENDING",
        task_id: str | None = None,
    ) -> TaskId:
        """Write a receipt in the caller's transaction and return its id."""
        values = {
            "task_id": task_id or str(uuid.uuid4()),
            "organization_id": organization_id,
            "namespace_id": namespace_id,
            "task_type": task_type,
            "status": status,
            "description": description,
            "inputs": inputs,
            "additional_data": additional_data,
        }
        await store.insert(tx, values)
        return TaskId(str(values["task_id"]))

    async def update(
        self,
        tx: Writer,
        task_id: str,
        *,
        status: str | None = None,
        outputs: Sequence[Any] | None = None,
        additional_data: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> None:
        """Note how the work goes; `additional_data` is merged. `error` also lands there, where old clients look."""
        merged = {**(additional_data or {}), **({"error": error} if error else {})}
        await store.update(tx, task_id, status=status, outputs=outputs, additional_data=merged, error=error)

    async def hold(self, tx: Writer, organization_id: OrganizationId, task_id: str) -> Record | None:
        """Lock a task until `tx` ends and return its row: for work that notes in it how far it came."""
        return await store.find(tx, organization_id, task_id, patterns=None, lock=True)

    async def read(
        self, organization_id: OrganizationId, task_id: str, *, patterns: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Return the task as the API shows it; raise TaskNotFound."""
        async with self._db.read() as tx:
            return await self.seen(tx, organization_id, task_id, patterns=patterns)

    async def seen(
        self, tx: Reader, organization_id: OrganizationId, task_id: str, *, patterns: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Return the task as the caller's transaction sees it; raise TaskNotFound."""
        row = await store.find(tx, organization_id, task_id, patterns=patterns)
        if row is None:
            raise TaskNotFound(id=task_id, resource="task")
        return (await self._shown(tx, [row]))[0]

    async def list(
        self,
        organization_id: OrganizationId,
        body: ListTasks,
        page: Page,
        *,
        namespace: str | None = None,
        patterns: Sequence[str] | None = None,
    ) -> tuple[list[dict[str, Any]], int | None, str | None]:
        """Return a page of tasks, the total where it was asked for, and the next cursor. Newest first."""
        where, values = condition(body.filters)
        asked: dict[str, str] = {}
        if body.status is not None:
            asked["status"] = known_status(body.status, ["body", "status"])
        if body.task_type is not None:
            asked["task_type"] = known_type(body.task_type, ["body", "task_type"])
        if body.search:
            asked["search"] = body.search.lower()
        order = ordering(body.sort)
        fingerprint = digest_id("q", dumps([where, values, asked, order, namespace]).decode())
        after = _after(page.cursor, fingerprint, order[0])
        async with self._db.read() as tx:
            rows, total = await store.page(
                tx,
                organization_id,
                patterns=patterns,
                namespace=namespace or body.namespace_id,
                where=where,
                values=values,
                asked=asked,
                order=order,
                after=after,
                offset=0 if after else page.offset,
                limit=page.limit + 1,
                count=page.include_total,
            )
            results = await self._shown(tx, rows[: page.limit])
        return [*results], total, _next(rows, page, order[0], fingerprint)

    async def _shown(self, tx: Reader, rows: Sequence[Record]) -> Sequence[dict[str, Any]]:
        """Return tasks as the API shows them; those that wait of one type are asked about at once."""
        standing: dict[str, Mapping[str, Any]] = {}
        for task_type, ask in self._standing.items():
            waiting = [row for row in rows if row["task_type"] == task_type and row["status"] in WAITING]
            if waiting:
                standing.update(await ask(tx, waiting))
        return [{**shown(row), **standing.get(row["task_id"], {})} for row in rows]

    async def kill(self, organization_id: OrganizationId, task_id: str, *, caller: Caller | None = None) -> str:
        """Stop the task's work and return what happened in words. Unknown and finished tasks are no error.

        Raises Forbidden when the scopes of the caller's key leave no deletion in the task's namespace.
        """
        async with self._db.read() as tx:
            row = await store.find(tx, organization_id, task_id, patterns=caller.namespaces if caller else None)
        if row is None:
            return f"No task {task_id} is running."
        if caller is not None and row["namespace_id"] is not None:
            caller.inside(row["namespace_id"]).require("delete")
        if row["status"] in TERMINAL:
            return f"Task {task_id} is {row['status']} already."
        handler = self._on_kill.get(row["task_type"])
        if handler is None:
            return f"Task {task_id} ({row['task_type']}) cannot be stopped; it goes on."
        await handler(organization_id, row)
        return f"Task {task_id} was told to stop."


def shown(row: Record) -> dict[str, Any]:
    """Return the task as the API shows it."""
    content = {
        "task_id": row["task_id"],
        "task_type": row["task_type"],
        "status": row["status"],
        "description": row["description"],
        "inputs": row["inputs"],
        "outputs": row["outputs"],
        "additional_data": _data(row),
        "error": row["error"],
        "error_message": row["error"],
        "namespace_id": row["namespace_id"],
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
    }
    # These three live in additional_data while the work runs and are part of the API's own shape.
    for name in ("cancellation", "queue_position", "estimated_wait_minutes"):
        content[name] = row["additional_data"].get(name)
    return content


def _data(row: Record) -> dict[str, Any]:
    """The task's own notes; of one that ended long ago, also where it comes from, as clients know it."""
    data: dict[str, Any] = row["additional_data"]
    if row["status"] in TERMINAL and utc_now() - row["updated_at"] > _KEPT_SHORT:
        return {**data, "from_mongodb": True, "note": data.get("note", _NOTE)}
    return data


def _after(cursor: str | None, fingerprint: str, column: str) -> list[Any] | None:
    if cursor is None:
        return None
    value, task_id = decode_cursor(cursor, length=2, fingerprint=fingerprint)
    if not isinstance(value, str) or not isinstance(task_id, str) or "\x00" in value + task_id:
        raise BadCursor
    if not column.endswith("_at"):
        return [value, task_id]
    try:
        return [datetime.fromisoformat(value), task_id]
    except ValueError as error:
        raise BadCursor from error


def _next(rows: Sequence[Record], page: Page, column: str, fingerprint: str) -> str | None:
    if len(rows) <= page.limit:
        return None
    last = rows[page.limit - 1]
    value = last[column]
    return encode_cursor([value if isinstance(value, str) else iso(value), last["task_id"]], fingerprint)

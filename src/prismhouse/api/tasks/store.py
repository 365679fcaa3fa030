"""Every SQL statement about tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from prismhouse.storage.postgres.database import Reader, Record, Writer

_OPEN = """organization_id = %(organization_id)s
  AND (%(patterns)s::jsonb = '[]' OR (namespace_id IS NOT NULL AND key_opens(%(patterns)s::jsonb, namespace_id)))"""


async def insert(tx: Writer, values: Mapping[str, Any]) -> None:
    """Add a task; a task with this id is left as it is, so that a repeated job writes one receipt."""
    await tx.execute(
        """INSERT INTO tasks (task_id, organization_id, namespace_id, task_type, status, description, inputs,
             additional_data)
           VALUES (%(task_id)s, %(organization_id)s, %(namespace_id)s, %(task_type)s, %(status)s, %(description)s,
             %(inputs)s, %(additional_data)s)
           ON CONFLICT (task_id) DO NOTHING""",
        {
            **values,
            "inputs": Jsonb(list(values["inputs"])),
            "additional_data": Jsonb(dict(values["additional_data"])),
        },
    )


async def update(
    tx: Writer,
    task_id: str,
    *,
    status: str | None,
    outputs: Sequence[Any] | None,
    additional_data: Mapping[str, Any] | None,
    error: str | None,
) -> int:
    """Change what is given; `additional_data` is merged."""
    return await tx.execute(
        """UPDATE tasks SET status = coalesce(%(status)s, status), outputs = coalesce(%(outputs)s, outputs),
             additional_data = additional_data || %(additional_data)s, error = coalesce(%(error)s, error),
             updated_at = now()
           WHERE task_id = %(task_id)s""",
        {
            "task_id": task_id,
            "status": status,
            "outputs": None if outputs is None else Jsonb(list(outputs)),
            "additional_data": Jsonb(dict(additional_data or {})),
            "error": error,
        },
    )


async def find(
    tx: Reader, organization_id: str, task_id: str, *, patterns: Sequence[str] | None, lock: bool = False
) -> Record | None:
    """Return the task."""
    return await tx.fetch_one(
        f"SELECT * FROM tasks WHERE {_OPEN} AND task_id = %(task_id)s {'FOR UPDATE' if lock else ''}",
        {"organization_id": organization_id, "task_id": task_id, "patterns": _scopes(patterns)},
    )


_ASKED = {
    "status": "status = %(status)s",
    "task_type": "task_type = %(task_type)s",
    "search": "(strpos(lower(task_id), %(search)s) > 0 OR strpos(lower(task_type), %(search)s) > 0"
    " OR strpos(lower(status), %(search)s) > 0)",
}


async def page(
    tx: Reader,
    organization_id: str,
    *,
    patterns: Sequence[str] | None,
    namespace: str | None,
    where: str,
    values: Mapping[str, Any],
    asked: Mapping[str, str],
    order: tuple[str, bool],
    after: Sequence[Any] | None,
    offset: int,
    limit: int,
    count: bool,
) -> tuple[list[Record], int | None]:
    """Return a page of tasks and, with `count`, how many match. `where` and `order` hold checked column names.

    `asked` may hold a status, a task_type, and a search in lower case.
    """
    given: dict[str, Any] = {
        **values,
        **asked,
        "organization_id": organization_id,
        "patterns": _scopes(patterns),
        "namespace": namespace,
        "offset": offset,
        "limit": limit,
    }
    tests = " AND ".join([f"({where})", *(_ASKED[name] for name in asked)])
    matching = f"""{_OPEN} AND {tests} AND (%(namespace)s::text IS NULL OR namespace_id = %(namespace)s
      OR namespace_id IN (SELECT n.namespace_id FROM namespaces n WHERE n.organization_id = %(organization_id)s
                          AND n.namespace_name = %(namespace)s))"""
    total = await tx.fetch_value(f"SELECT count(*) FROM tasks WHERE {matching}", given) if count else None
    column, descending = order
    if after is not None:
        matching += f" AND ({column}, task_id) {'<' if descending else '>'} (%(after_value)s, %(after_id)s)"
        given |= {"after_value": after[0], "after_id": after[1]}
    way = "DESC" if descending else "ASC"
    rows = await tx.fetch_all(
        f"SELECT * FROM tasks WHERE {matching} ORDER BY {column} {way}, task_id {way}"
        " OFFSET %(offset)s LIMIT %(limit)s",
        given,
    )
    return rows, None if total is None else int(total)


def _scopes(patterns: Sequence[str] | None) -> Jsonb:
    if patterns is None:
        return Jsonb([])
    return Jsonb([{"resource_id": pattern} for pattern in patterns] or [{"resource_id": ""}])

"""A namespace with everything in it is deleted: nothing of it stays in any table."""

from __future__ import annotations

from tests.contract.test_isolation import belongings
from tests.opened import Open, assert_envelope

_TABLES = (
    "SELECT table_name FROM information_schema.columns WHERE column_name = 'namespace_id' AND table_schema = 'public'"
)
# What outlives a namespace on purpose: its receipts, what was told of it, and who did what.
_KEPT = {"tasks", "events", "audit_events"}


async def test_nothing_is_left_in_any_table_when_a_namespace_is_deleted(opened: Open) -> None:
    client = opened.client()
    ids = await belongings(client)
    namespace_id = ids["namespace_id"]
    edited = await client.patch(f"/v1/annotations/{ids['annotation_id']}", json={"label": "edited"})
    assert edited.json()["version"] == 2
    path = f"/v1/namespaces/{namespace_id}"

    error = assert_envelope(await client.delete(path), 409, "ConflictError")
    assert "force" in str(error["message"])
    task_id = (await client.delete(f"{path}?force=true")).json()["task_id"]
    await opened.house.namespace_deletion.run(namespace_id=namespace_id, task_id=task_id)

    assert (await client.get(f"/v1/tasks/{task_id}")).json()["status"] == "COMPLETED"
    async with opened.house.db.read() as tx:
        tables = {row["table_name"] for row in await tx.fetch_all(_TABLES)} - _KEPT
        left = {
            table: await tx.fetch_value(
                f'SELECT count(*) FROM "{table}" WHERE namespace_id = %(id)s', {"id": namespace_id}
            )
            for table in sorted(tables)
        }
    assert {table: count for table, count in left.items() if count} == {}
    built = {
        "buckets",
        "objects",
        "uploads",
        "collections",
        "documents",
        "batches",
        "annotations",
        "annotation_history",
    }
    assert built <= tables

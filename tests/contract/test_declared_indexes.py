"""What a namespace declares on its documents' fields is kept, built by a job, and forgotten with it."""

from __future__ import annotations

from tests.opened import Open


async def test_declared_indexes_follow_the_namespace(opened: Open) -> None:
    client = opened.client()
    body = {"namespace_name": "indexed", "payload_indexes": [{"field_name": "price", "type": "float"}]}
    namespace = (await client.post("/v1/namespaces", json=body)).json()["namespace_id"]
    path = f"/v1/namespaces/{namespace}"

    async def declared() -> list[str]:
        told = (await client.post(f"{path}/ensure-indexes")).json()
        return [one["field_name"] for one in told["indexes"]]

    created = await declared()
    standing = (await client.get(path)).json()["payload_indexes"]
    more = [*standing, {"field_name": "metadata.kind", "type": "keyword"}]
    await client.patch(path, json={"payload_indexes": more})
    patched = await declared()
    await client.put(path, json={"payload_indexes": []})

    assert created == ["price"]
    assert patched == ["metadata.kind", "price"]
    assert await declared() == []

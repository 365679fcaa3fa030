"""A whole set of annotations as of one instant, as a stream."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from tests.annotations import ROOT, create, ok, reviews
from tests.opened import Open, assert_envelope

from prismhouse.api.annotations.schemas import ListAnnotations
from prismhouse.api.annotations.service.export import PORTION, Format
from prismhouse.api.web.caller import NamespaceNotFound, Scope
from prismhouse.kit.ids import NamespaceId, OrganizationId

EXPORT = f"{ROOT}/export"
_FILL = """
INSERT INTO annotations (namespace_id, annotation_id, document_id, label, reasoning, payload, actor_id, actor_type,
  version, created_at, updated_at)
SELECT %(namespace_id)s, 'ann_' || lpad(n::text, 8, '0'), 'doc_' || n %% 100, 'l' || n %% 3, repeat('why ', 100),
  '{"n": 1}', 'key_1', 'api_key', 1, moment, moment
FROM generate_series(1, %(rows)s) AS n, LATERAL (SELECT now() - (n / 10) * interval '1 second' AS moment) AS at
"""


@pytest.fixture
async def client(opened: Open) -> httpx2.AsyncClient:
    return await reviews(opened)


async def fill(opened: Open, client: httpx2.AsyncClient, rows: int) -> Scope:
    scope = _scope(client)
    async with opened.house.db.write() as tx:
        await tx.within(scope.namespace_id).execute(_FILL, {"rows": rows})
    return scope


def _scope(client: httpx2.AsyncClient) -> Scope:
    namespace_id = NamespaceId(client.headers["X-Namespace"])
    return Scope(organization_id=OrganizationId("org_any"), namespace_id=namespace_id)


async def lines(client: httpx2.AsyncClient, **query: str) -> list[dict[str, Any]]:
    answer = await client.get(EXPORT, params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    *found, end = answer.content.split(b"\n")
    assert end == b""
    return [json.loads(line) for line in found]


async def rows(client: httpx2.AsyncClient, **query: str) -> list[dict[str, str]]:
    answer = await client.get(EXPORT, params={"format": "csv", **query})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert "annotations.csv" in answer.headers["content-disposition"]
    return list(csv.DictReader(io.StringIO(answer.content.decode(), newline=""), strict=True))


async def test_lines_are_annotations_without_their_revisions(client: httpx2.AsyncClient) -> None:
    made = await create(client, payload={"b": 1, "a": [None]}, reasoning="line\nbreak\u2028")
    edited = await ok(client.patch(f"{ROOT}/{made['annotation_id']}", json={"label": "edited"}))

    (line,) = await lines(client)

    assert line == {name: value for name, value in edited.items() if name != "revisions"}


async def test_an_export_is_as_of_an_instant_and_filtered(client: httpx2.AsyncClient) -> None:
    gone = await create(client, label="x")
    edited = await create(client, label="x")
    await create(client, label="y")
    last = await create(client, label="x", document_id="doc_2")
    await ok(client.delete(f"{ROOT}/{gone['annotation_id']}"))
    await ok(client.patch(f"{ROOT}/{edited['annotation_id']}", json={"label": "y"}))

    async def ids(**query: str) -> list[str]:
        return [line["annotation_id"] for line in await lines(client, **query)]

    then = [last["annotation_id"], edited["annotation_id"], gone["annotation_id"]]
    assert await ids(label="x", as_of=last["created_at"]) == then
    assert [row["annotation_id"] for row in await rows(client, label="x", as_of=last["created_at"])] == then
    assert await ids(label="x") == [last["annotation_id"]]
    assert await ids(document_id="doc_2", as_of="2999-01-01T00:00:00Z") == [last["annotation_id"]]
    assert await ids(document_id="none") == []
    assert await rows(client, document_id="none") == []


async def test_cells_survive_quotes_and_line_breaks_and_never_run(client: httpx2.AsyncClient) -> None:
    values = {
        "label": '=HYPERLINK("http://x")',
        "reasoning": 'one,"two"\r\nthree',
        "document_id": "@doc",
        "retriever_id": "+1",
        "execution_id": "-1",
        "stage_name": "'quoted",
        "confidence": 0.1,
        "payload": {"formula": "=1+1", "quote": '"'},
    }
    made = await create(client, **values)

    text = (await client.get(EXPORT, params={"format": "csv"})).content.decode()
    (row,) = await rows(client)

    assert text.endswith("\r\n")
    for name in ("label", "document_id", "retriever_id", "execution_id", "stage_name"):
        assert row[name] == f"'{values[name]}"
    assert row["reasoning"] == values["reasoning"]
    assert json.loads(row["payload"]) == values["payload"]
    assert float(row["confidence"]) == 0.1
    assert row["created_at"] == made["created_at"]
    assert (row["metadata"], row["collection_id"], row["version"]) == ("", "", "1")


@pytest.mark.parametrize("query", ["format=xml", "as_of=yesterday"])
async def test_an_export_that_cannot_be_made_is_refused(client: httpx2.AsyncClient, query: str) -> None:
    assert_envelope(await client.get(f"{EXPORT}?{query}"), 422, "ValidationError")


async def test_an_export_in_an_unknown_namespace_is_refused(opened: Open) -> None:
    assert_envelope(await opened.client(**{"X-Namespace": "nowhere"}).get(EXPORT), 404, "NotFoundError")


@pytest.mark.parametrize("shape", list(Format))
async def test_an_export_of_twenty_thousand_comes_in_portions_of_bounded_memory(
    opened: Open, client: httpx2.AsyncClient, shape: Format
) -> None:
    scope = await fill(opened, client, 20_000)

    portions = await opened.house.annotations.export(scope, ListAnnotations(), shape)
    tracemalloc.start()
    sizes = [
        len(portion.splitlines()) - (place == 0 and shape is Format.CSV) async for place, portion in _places(portions)
    ]
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert max(sizes) == PORTION
    assert (sum(sizes), len(sizes)) == (20_000, 23)
    # A portion is about 0.8 MB of text; all of it would be 16 MB.
    assert peak_bytes < 12_000_000


async def test_large_annotations_come_in_small_portions(opened: Open, client: httpx2.AsyncClient) -> None:
    large, small = {"text": "x" * 3_000_000}, {"text": "x"}
    made = [await create(client, payload=large if place % 8 < 6 else small) for place in range(32)]

    tracemalloc.start()
    portions = await opened.house.annotations.export(_scope(client), ListAnnotations(), Format.NDJSON)
    found = [json.loads(line)["annotation_id"] async for portion in portions for line in portion.splitlines()]
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert found == [one["annotation_id"] for one in reversed(made)]
    # All of it would be 72 MB, several times.
    assert peak_bytes < 60_000_000


async def _places(portions: AsyncIterator[bytes]) -> AsyncIterator[tuple[int, bytes]]:
    place = 0
    async for portion in portions:
        yield place, portion
        place += 1


async def test_what_happens_meanwhile_changes_nothing_of_an_export(opened: Open, client: httpx2.AsyncClient) -> None:
    scope = await fill(opened, client, 2 * PORTION + 5)
    before = {line["annotation_id"]: line for line in await lines(client)}

    portions = await opened.house.annotations.export(scope, ListAnnotations(), Format.NDJSON)
    found = [json.loads(line) for line in (await anext(portions)).splitlines()]
    late = sorted(set(before) - {line["annotation_id"] for line in found})
    body = {
        "create": [{"document_id": "new", "label": "new"}],
        "update": [{"annotation_id": one, "label": "edited"} for one in late[:900]],
        "delete": late[800:1000],
    }
    assert (await ok(client.post(f"{ROOT}/bulk", json=body)))["failed_count"] == 0
    async for portion in portions:
        found += [json.loads(line) for line in portion.splitlines()]

    assert len(found) == len(before)
    assert {line["annotation_id"]: line for line in found} == before
    moments = [(line["created_at"], line["annotation_id"]) for line in found]
    assert len(set(moments)) == len(moments)
    assert [moment for moment, _ in moments] == sorted((moment for moment, _ in moments), reverse=True)


async def test_an_export_breaks_off_when_its_namespace_goes_meanwhile(opened: Open, client: httpx2.AsyncClient) -> None:
    scope = await fill(opened, client, PORTION)
    portions = await opened.house.annotations.export(scope, ListAnnotations(), Format.NDJSON)
    assert 0 < len((await anext(portions)).splitlines()) < PORTION

    await ok(client.delete(f"/v1/namespaces/{scope.namespace_id}"))

    # What is left would end like a whole set.
    with pytest.raises(NamespaceNotFound):
        [portion async for portion in portions]

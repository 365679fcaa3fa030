"""Audit rows: written with the change or not at all, many in one statement, and never changed after."""

from __future__ import annotations

import psycopg
import pytest

from prismhouse.api.audit.service import Audit
from prismhouse.api.web.caller import Actor, Scope
from prismhouse.kit.ids import NamespaceId, OrganizationId
from prismhouse.storage.postgres.database import Database

_ACTOR = Actor(
    actor_id="usr_1", actor_type="user", key_id="key_1", ip_address="10.0.0.7", user_agent="curl/8", reason="ticket 7"
)
_SCOPE = Scope(organization_id=OrganizationId("org_1"), namespace_id=NamespaceId("ns_1"), actor=_ACTOR)


async def _rows(db: Database) -> list[dict[str, object]]:
    async with db.read() as tx:
        return await tx.fetch_all("SELECT * FROM audit_events ORDER BY sequence")


async def test_a_row_says_who_what_and_from_where_when_a_change_is_recorded(db: Database) -> None:
    async with db.write() as tx:
        await Audit(db).record(
            tx, _SCOPE, action="bucket_created", resource_type="bucket", resource_id="bkt_1", changes={"name": "b"}
        )

    row = (await _rows(db))[0]
    assert row.pop("occurred_at") is not None
    assert row.pop("sequence") == 1
    assert row == {
        "organization_id": "org_1",
        "namespace_id": "ns_1",
        "action": "bucket_created",
        "resource_type": "bucket",
        "resource_id": "bkt_1",
        "status": "success",
        "changes": {"name": "b"},
        "reason": "ticket 7",
        "actor_id": "usr_1",
        "actor_type": "user",
        "key_id": "key_1",
        "ip_address": "10.0.0.7",
        "user_agent": "curl/8",
    }


@pytest.mark.parametrize("with_changes", [True, False])
async def test_three_thousand_rows_keep_their_order_when_recorded_at_once(db: Database, with_changes: bool) -> None:
    entries = [(f"ann_{n}", {"label": n} if with_changes and n % 2 else None) for n in range(3000)]

    async with db.write() as tx:
        await Audit(db).record_many(
            tx,
            _ACTOR,
            organization_id="org_1",
            namespace_id="ns_1",
            action="annotation_created",
            resource_type="annotation",
            entries=entries,
        )

    assert [(row["resource_id"], row["changes"]) for row in await _rows(db)] == entries


async def test_nothing_is_written_when_there_are_no_entries(db: Database) -> None:
    async with db.write() as tx:
        await Audit(db).record_many(
            tx,
            _ACTOR,
            organization_id="org_1",
            namespace_id=None,
            action="annotation_deleted",
            resource_type="annotation",
            entries=[],
        )

    assert await _rows(db) == []


async def test_no_row_stays_when_the_change_fails(db: Database) -> None:
    with pytest.raises(RuntimeError):
        async with db.write() as tx:
            await Audit(db).record(
                tx, _SCOPE, action="bucket_deleted", resource_type="bucket", resource_id="bkt_1", reason="tidying"
            )
            raise RuntimeError

    assert await _rows(db) == []


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_events SET actor_id = 'x'", "DELETE FROM audit_events", "TRUNCATE audit_events"]
)
async def test_a_row_stays_as_it_is_when_somebody_tries_to_change_it(db: Database, statement: str) -> None:
    async with db.write() as tx:
        await Audit(db).record(tx, _SCOPE, action="bucket_created", resource_type="bucket", resource_id="bkt_1")

    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        async with db.write() as tx:
            await tx.execute(statement)

    assert len(await _rows(db)) == 1


async def test_old_rows_go_when_an_operator_says_so(db: Database) -> None:
    async with db.write() as tx:
        await Audit(db).record(tx, _SCOPE, action="bucket_created", resource_type="bucket", resource_id="bkt_1")

    async with db.write() as tx:
        await tx.execute("SET LOCAL prismhouse.prune_audit = 'on'")
        await tx.execute("DELETE FROM audit_events WHERE occurred_at <= now()")

    assert await _rows(db) == []

"""Every SQL statement about organizations, users and keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from prismhouse.storage.postgres.database import Reader, Record, Writer
from prismhouse.storage.postgres.locks import Lock

KEY_COLUMNS = """
  k.key_id, k.organization_id, k.user_id, k.key_hash, k.key_prefix, k.key_type, k.name, k.description,
  k.permissions, k.scopes, k.rate_limit_override, k.allowed_origins, k.principal_id, k.is_bootstrap,
  CASE WHEN k.status = 'active' AND k.expires_at <= now() THEN 'expired' ELSE k.status END AS status,
  k.expires_at, k.last_used_at, k.created_at, k.created_by, k.revoked_at, k.revoked_by"""

IDENTITY = f"""
SELECT {KEY_COLUMNS}, u.email AS user_email, u.status AS user_status, o.organization_name, o.read_auditing_enabled
FROM api_keys k
JOIN users u ON u.user_id = k.user_id
JOIN organizations o ON o.organization_id = k.organization_id
WHERE k.key_hash = %(key_hash)s"""


async def lock_bootstrap(tx: Writer) -> None:
    """Let one process at a time look for the first organization and make it."""
    await tx.fetch_one("SELECT pg_advisory_xact_lock(%(lock)s)", {"lock": int(Lock.BOOTSTRAP)})


async def bootstrap_key(tx: Reader) -> Record | None:
    """Return the key of the first start."""
    return await tx.fetch_one(f"SELECT {KEY_COLUMNS} FROM api_keys k WHERE is_bootstrap ORDER BY created_at LIMIT 1")


async def replace_secret(tx: Writer, key_id: str, *, key_hash: str, key_prefix: str) -> None:
    """Exchange the secret of a key: the old one is dead when this commits."""
    await tx.execute(
        "UPDATE api_keys SET key_hash = %(key_hash)s, key_prefix = %(key_prefix)s WHERE key_id = %(key_id)s",
        {"key_id": key_id, "key_hash": key_hash, "key_prefix": key_prefix},
    )


async def insert_organization(tx: Writer, *, organization_id: str, organization_name: str) -> None:
    """Add an organization."""
    await tx.execute(
        "INSERT INTO organizations (organization_id, organization_name) VALUES (%(organization_id)s, %(name)s)",
        {"organization_id": organization_id, "name": organization_name},
    )


async def organization(tx: Reader, organization_id: str) -> Record | None:
    """Return the organization."""
    return await tx.fetch_one(
        "SELECT * FROM organizations WHERE organization_id = %(organization_id)s", {"organization_id": organization_id}
    )


async def first_organization(tx: Reader) -> str | None:
    """Return the id of the oldest organization."""
    found = await tx.fetch_value("SELECT organization_id FROM organizations ORDER BY created_at LIMIT 1")
    return None if found is None else str(found)


async def update_organization(
    tx: Writer, organization_id: str, *, name: str | None, metadata: dict[str, Any] | None, profile: dict[str, Any]
) -> Record | None:
    """Change what is given; profile keys are merged."""
    return await tx.fetch_one(
        """UPDATE organizations SET organization_name = coalesce(%(name)s, organization_name),
             metadata = coalesce(%(metadata)s, metadata), profile = profile || %(profile)s, updated_at = now()
           WHERE organization_id = %(organization_id)s RETURNING *""",
        {
            "organization_id": organization_id,
            "name": name,
            "metadata": None if metadata is None else Jsonb(metadata),
            "profile": Jsonb(profile),
        },
    )


async def users(
    tx: Reader, organization_id: str, *, role: str | None, status: str | None, skip: int, limit: int
) -> tuple[list[Record], int]:
    """Return a page of users, oldest first, and how many there are in all."""
    values = {"organization_id": organization_id, "role": role, "status": status, "skip": skip, "limit": limit}
    where = """organization_id = %(organization_id)s AND (%(role)s::text IS NULL OR role = %(role)s)
               AND (%(status)s::text IS NULL OR status = %(status)s)"""
    total = await tx.fetch_value(f"SELECT count(*) FROM users WHERE {where}", values)
    rows = await tx.fetch_all(
        f"SELECT * FROM users WHERE {where} ORDER BY created_at, user_id OFFSET %(skip)s LIMIT %(limit)s", values
    )
    return rows, int(total)


async def user(tx: Reader, organization_id: str, email: str) -> Record | None:
    """Return the user with this email, whatever its case."""
    return await tx.fetch_one(
        """SELECT u.*, EXISTS (SELECT FROM api_keys k WHERE k.user_id = u.user_id AND k.is_bootstrap) AS holds_bootstrap
           FROM users u WHERE organization_id = %(organization_id)s AND lower(email) = lower(%(email)s)""",
        {"organization_id": organization_id, "email": email},
    )


async def insert_user(tx: Writer, values: Mapping[str, Any]) -> Record | None:
    """Add a user; None when the organization has one with this email."""
    return await tx.fetch_one(
        """INSERT INTO users (user_id, organization_id, email, user_name, avatar_url, role, status, metadata)
           VALUES (%(user_id)s, %(organization_id)s, %(email)s, %(user_name)s, %(avatar_url)s, %(role)s, %(status)s,
                   %(metadata)s)
           ON CONFLICT (organization_id, lower(email)) DO NOTHING RETURNING *""",
        {**values, "metadata": Jsonb(values.get("metadata") or {})},
    )


async def update_user(tx: Writer, user_id: str, changes: Mapping[str, Any]) -> Record | None:
    """Change the given columns."""
    values = {name: Jsonb(value) if name == "metadata" else value for name, value in changes.items()}
    return await tx.fetch_one(
        _update("users", "user_id", [*values]),
        {**values, "user_id": user_id},
    )


async def delete_user(tx: Writer, user_id: str) -> None:
    """Remove the user and the keys."""
    await tx.execute("DELETE FROM users WHERE user_id = %(user_id)s", {"user_id": user_id})


async def revoke_all(tx: Writer, user_id: str, *, by: str) -> list[Record]:
    """Revoke every live key of the user for good; return what they are."""
    return await tx.fetch_all(
        """UPDATE api_keys SET status = 'revoked', revoked_at = now(), revoked_by = %(by)s
           WHERE user_id = %(user_id)s AND status = 'active' RETURNING key_id, name""",
        {"user_id": user_id, "by": by},
    )


async def insert_key(tx: Writer, values: Mapping[str, Any]) -> Record | None:
    """Add a key; None when the user has a live one with this name."""
    return await tx.fetch_one(
        f"""INSERT INTO api_keys AS k (key_id, organization_id, user_id, key_hash, key_prefix, name, description,
              permissions, scopes, rate_limit_override, allowed_origins, principal_id, expires_at, is_bootstrap,
              created_by)
            VALUES (%(key_id)s, %(organization_id)s, %(user_id)s, %(key_hash)s, %(key_prefix)s, %(name)s,
              %(description)s, %(permissions)s, %(scopes)s, %(rate_limit_override)s, %(allowed_origins)s,
              %(principal_id)s, %(expires_at)s, %(is_bootstrap)s, %(created_by)s)
            ON CONFLICT (user_id, name) WHERE status = 'active' DO NOTHING
            RETURNING {KEY_COLUMNS}""",
        {**values, "scopes": Jsonb(values.get("scopes") or [])},
    )


async def keys(tx: Reader, organization_id: str, *, user_id: str | None, include_revoked: bool) -> list[Record]:
    """Return keys, newest first."""
    return await tx.fetch_all(
        f"""SELECT {KEY_COLUMNS}, u.email AS user_email FROM api_keys k JOIN users u ON u.user_id = k.user_id
            WHERE k.organization_id = %(organization_id)s AND (%(user_id)s::text IS NULL OR k.user_id = %(user_id)s)
              AND (%(include_revoked)s OR k.status = 'active')
            ORDER BY k.created_at DESC, k.key_id""",
        {"organization_id": organization_id, "user_id": user_id, "include_revoked": include_revoked},
    )


async def key(tx: Writer, organization_id: str, identifier: str, *, user_id: str | None) -> Record | None:
    """Return the key with this name or id, a live one before a dead one, and lock it."""
    return await tx.fetch_one(
        f"""SELECT {KEY_COLUMNS} FROM api_keys k
            WHERE k.organization_id = %(organization_id)s AND (%(user_id)s::text IS NULL OR k.user_id = %(user_id)s)
              AND (k.name = %(identifier)s OR k.key_id = %(identifier)s)
            ORDER BY k.status = 'active' DESC, k.created_at DESC LIMIT 1 FOR UPDATE""",
        {"organization_id": organization_id, "user_id": user_id, "identifier": identifier},
    )


async def key_name_taken(tx: Reader, user_id: str, name: str, *, but: str) -> bool:
    """Say whether another live key of the user has this name."""
    return bool(
        await tx.fetch_value(
            """SELECT EXISTS (SELECT FROM api_keys WHERE user_id = %(user_id)s AND name = %(name)s
               AND status = 'active' AND key_id <> %(but)s)""",
            {"user_id": user_id, "name": name, "but": but},
        )
    )


async def update_key(tx: Writer, key_id: str, changes: Mapping[str, Any]) -> Record | None:
    """Change the given columns."""
    values = {name: Jsonb(value) if name == "scopes" else value for name, value in changes.items()}
    await tx.execute(_update("api_keys", "key_id", [*values], stamp=False), {**values, "key_id": key_id})
    return await tx.fetch_one(f"SELECT {KEY_COLUMNS} FROM api_keys k WHERE key_id = %(key_id)s", {"key_id": key_id})


async def touch_key(tx: Writer, key_id: str) -> None:
    """Note that the key was used."""
    await tx.execute("UPDATE api_keys SET last_used_at = now() WHERE key_id = %(key_id)s", {"key_id": key_id})


def _update(table: str, identity: str, columns: Sequence[str], *, stamp: bool = True) -> sql.Composed:
    changes: list[sql.Composable] = [
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in columns
    ]
    if stamp:
        changes.append(sql.SQL("updated_at = now()"))
    return sql.SQL("UPDATE {} SET {} WHERE {} = {} RETURNING *").format(
        sql.Identifier(table),
        sql.SQL(", ").join(changes),
        sql.Identifier(identity),
        sql.Placeholder(identity),
    )

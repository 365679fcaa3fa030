"""Every statement about models. A model is an organization's; where it may be used is a row of the namespace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter, Reader, Record, Writer

__all__ = [
    "available",
    "begin_deployment",
    "count",
    "delete",
    "disable",
    "enable",
    "enabled_in",
    "end_deployment",
    "find",
    "find_in_namespace",
    "insert",
    "is_taken",
    "keep",
    "known_in_namespace",
    "list_all",
    "list_in_namespace",
    "lock",
    "lock_in_namespace",
]

_MODEL = """m.model_id, m.organization_id, m.owner_namespace_id, m.name, m.version, m.model_format, m.description,
  m.source, m.framework, m.task_type, m.resource_requirements, m.sha256, m.md5, m.size_bytes, m.files, m.dimensions,
  m.created_at, m.updated_at"""
_STANDING = """n.status, n.message, n.resource_overrides, n.run, n.deployed_at, n.created_at AS enabled_at,
  greatest(n.updated_at, m.updated_at) AS changed_at"""
_DEPLOYED = """(SELECT max(n.deployed_at) FROM namespace_models n
  WHERE n.model_id = m.model_id AND n.status = 'deployed') AS deployed_at"""


async def insert(tx: Writer, values: Mapping[str, Any]) -> Record | None:
    """Store a model; return None when its name and version are taken."""
    return await tx.fetch_one(
        """
        INSERT INTO models (model_id, organization_id, owner_namespace_id, name, version, model_format, description,
          source, framework, task_type, resource_requirements, sha256, md5, size_bytes, files)
        VALUES (%(model_id)s, %(organization_id)s, %(owner_namespace_id)s, %(name)s, %(version)s, %(model_format)s,
          %(description)s, %(source)s, %(framework)s, %(task_type)s, %(resource_requirements)s, %(sha256)s, %(md5)s,
          %(size_bytes)s, %(files)s)
        ON CONFLICT DO NOTHING RETURNING model_id""",
        {
            **values,
            "resource_requirements": Jsonb(values["resource_requirements"]),
            "files": Jsonb(values["files"]),
        },
    )


async def is_taken(tx: Reader, organization_id: str, namespace_id: str | None, name: str, version: str) -> bool:
    """Say whether there is a model of this name and version: in a namespace, or (None) of the organization."""
    value = await tx.fetch_value(
        """
        SELECT 1 FROM models WHERE organization_id = %(organization_id)s AND name = %(name)s AND version = %(version)s
          AND owner_namespace_id IS NOT DISTINCT FROM %(owner)s""",
        {"organization_id": organization_id, "owner": namespace_id, "name": name, "version": version},
    )
    return value is not None


async def count(tx: Reader, organization_id: str) -> int:
    """Return how many models an organization and its namespaces have."""
    value = await tx.fetch_value(
        "SELECT count(*) FROM models WHERE organization_id = %(organization_id)s", {"organization_id": organization_id}
    )
    return int(value or 0)


async def list_all(tx: Reader, organization_id: str) -> list[Record]:
    """Return the organization's own models, newest first."""
    return await tx.fetch_all(
        f"""
        SELECT {_MODEL}, {_DEPLOYED} FROM models m
        WHERE m.organization_id = %(organization_id)s AND m.owner_namespace_id IS NULL
        ORDER BY m.created_at DESC, m.model_id""",
        {"organization_id": organization_id},
    )


async def find(tx: Reader, organization_id: str, model_id: str) -> Record | None:
    """Return a model of the organization's own."""
    return await tx.fetch_one(
        f"""
        SELECT {_MODEL}, {_DEPLOYED} FROM models m
        WHERE m.organization_id = %(organization_id)s AND m.model_id = %(model_id)s
          AND m.owner_namespace_id IS NULL""",
        {"organization_id": organization_id, "model_id": model_id},
    )


async def lock(tx: Writer, organization_id: str, model_id: str) -> Record | None:
    """Return a model of the organization's own, which nobody enables or deletes until `tx` ends."""
    return await tx.fetch_one(
        f"""
        SELECT {_MODEL} FROM models m
        WHERE m.organization_id = %(organization_id)s AND m.model_id = %(model_id)s
          AND m.owner_namespace_id IS NULL FOR UPDATE""",
        {"organization_id": organization_id, "model_id": model_id},
    )


async def keep(tx: Writer, organization_id: str, model_id: str) -> bool:
    """Say whether the organization has a model of its own, which nobody deletes then until `tx` ends.

    A deployment that ends meanwhile may write to it: it holds the row of the namespace, which is wanted next.
    """
    value = await tx.fetch_value(
        """
        SELECT 1 FROM models WHERE organization_id = %(organization_id)s AND model_id = %(model_id)s
          AND owner_namespace_id IS NULL FOR KEY SHARE""",
        {"organization_id": organization_id, "model_id": model_id},
    )
    return value is not None


async def enabled_in(tx: Reader, model_id: str) -> list[str]:
    """Return the names of the namespaces in which a model is enabled."""
    rows = await tx.fetch_all(
        """
        SELECT s.namespace_name FROM namespace_models n JOIN namespaces s USING (namespace_id)
        WHERE n.model_id = %(model_id)s ORDER BY 1 LIMIT 20""",
        {"model_id": model_id},
    )
    return [row["namespace_name"] for row in rows]


async def delete(tx: Writer, model_id: str) -> None:
    """Delete a model; its archive is left to the sweep."""
    await tx.execute("DELETE FROM models WHERE model_id = %(model_id)s", {"model_id": model_id})


async def enable(tx: NamespaceWriter, model_id: str, overrides: Mapping[str, Any] | None) -> None:
    """Let a namespace use a model."""
    await tx.execute(
        """
        INSERT INTO namespace_models (namespace_id, model_id, resource_overrides)
        VALUES (%(namespace_id)s, %(model_id)s, %(overrides)s)
        ON CONFLICT (namespace_id, model_id) DO UPDATE
          SET resource_overrides = coalesce(excluded.resource_overrides, namespace_models.resource_overrides),
            updated_at = now()""",
        {"model_id": model_id, "overrides": None if overrides is None else Jsonb(overrides)},
    )


async def disable(tx: NamespaceWriter, model_id: str) -> None:
    """Take a model from a namespace."""
    await tx.execute(
        "DELETE FROM namespace_models WHERE namespace_id = %(namespace_id)s AND model_id = %(model_id)s",
        {"model_id": model_id},
    )


async def list_in_namespace(tx: NamespaceReader) -> list[Record]:
    """Return the models that a namespace has or may use, newest first."""
    return await tx.fetch_all(
        f"""
        SELECT {_MODEL}, {_STANDING} FROM namespace_models n JOIN models m USING (model_id)
        WHERE n.namespace_id = %(namespace_id)s ORDER BY n.created_at DESC, m.model_id"""
    )


async def find_in_namespace(tx: NamespaceReader, model_id: str) -> Record | None:
    """Return a model that a namespace has or may use."""
    return await tx.fetch_one(
        f"""
        SELECT {_MODEL}, {_STANDING} FROM namespace_models n JOIN models m USING (model_id)
        WHERE n.namespace_id = %(namespace_id)s AND n.model_id = %(model_id)s""",
        {"model_id": model_id},
    )


async def lock_in_namespace(tx: NamespaceWriter, model_id: str) -> Record | None:
    """Return such a model, which nobody deploys, disables or begins to use until `tx` ends."""
    return await tx.fetch_one(
        f"""
        SELECT {_MODEL}, {_STANDING} FROM namespace_models n JOIN models m USING (model_id)
        WHERE n.namespace_id = %(namespace_id)s AND n.model_id = %(model_id)s FOR UPDATE OF n""",
        {"model_id": model_id},
    )


async def known_in_namespace(tx: NamespaceReader, *, hold: bool = False) -> list[Record]:
    """Return the models of a namespace, newest first; with `hold` they stay what they are until `tx` ends."""
    holding = "FOR SHARE OF n" if hold else ""
    return await tx.fetch_all(
        f"""
        SELECT {_MODEL}, {_STANDING} FROM namespace_models n JOIN models m USING (model_id)
        WHERE n.namespace_id = %(namespace_id)s ORDER BY n.created_at DESC, m.model_id {holding}"""
    )


async def available(tx: NamespaceReader, organization_id: str) -> list[Record]:
    """Return the organization's models, and whether the namespace may use each."""
    return await tx.fetch_all(
        f"""
        SELECT {_MODEL}, n.model_id IS NOT NULL AS enabled FROM models m
        LEFT JOIN namespace_models n ON n.model_id = m.model_id AND n.namespace_id = %(namespace_id)s
        WHERE m.organization_id = %(organization_id)s AND m.owner_namespace_id IS NULL
        ORDER BY m.created_at DESC, m.model_id""",
        {"organization_id": organization_id},
    )


async def begin_deployment(tx: NamespaceWriter, model_id: str) -> int:
    """Have a model tried out; return the number of this deployment."""
    value = await tx.fetch_value(
        """
        UPDATE namespace_models SET status = 'pending', message = NULL, run = run + 1, updated_at = now()
        WHERE namespace_id = %(namespace_id)s AND model_id = %(model_id)s RETURNING run""",
        {"model_id": model_id},
    )
    return int(value)


async def end_deployment(
    tx: NamespaceWriter, model_id: str, *, run: int, message: str | None, dimensions: int | None
) -> bool:
    """Write what came of a deployment, unless a later one was begun; with `dimensions` it succeeded."""
    rows: Sequence[Record] = await tx.fetch_all(
        """
        WITH ended AS (
          UPDATE namespace_models SET status = CASE WHEN %(dimensions)s::int IS NULL THEN 'failed' ELSE 'deployed' END,
            message = %(message)s, deployed_at = CASE WHEN %(dimensions)s::int IS NULL THEN NULL ELSE now() END,
            updated_at = now()
          WHERE namespace_id = %(namespace_id)s AND model_id = %(model_id)s AND run = %(run)s AND status = 'pending'
          RETURNING model_id
        ), known AS (
          UPDATE models SET dimensions = %(dimensions)s::int
          FROM ended WHERE models.model_id = ended.model_id AND %(dimensions)s::int IS NOT NULL
            AND models.dimensions <> %(dimensions)s::int
        )
        SELECT model_id FROM ended""",
        {"model_id": model_id, "run": run, "message": message, "dimensions": dimensions},
    )
    return bool(rows)

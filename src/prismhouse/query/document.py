"""A document as the API shows it, made by PostgreSQL as JSON text, so that no Python object stands between."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg import sql

__all__ = ["document_json"]

_VECTOR = (
    "coalesce((SELECT jsonb_build_object({name}, to_jsonb(v.embedding::real[])) FROM {table} AS v"
    " WHERE v.namespace_id = {d}.namespace_id AND v.document_id = {d}.document_id), '{{}}')"
)


def document_json(alias: str, *, score: str | None = None, vectors: Mapping[str, str] | None = None) -> str:
    """Return an expression of type jsonb for a row of `documents`.

    Args:
        alias: the row's name in the statement.
        score: an expression that becomes the root field `score`.
        vectors: field name to vector table; each is read by the document's id.
    """
    parts = [f"shown_document({alias})"]
    if score is not None:
        parts.append(f"jsonb_build_object('score', {score})")
    for name, table in (vectors or {}).items():
        # A percent sign in a name would start a parameter.
        literal = sql.Literal(name).as_string().replace("%", "%%")
        parts.append(_VECTOR.format(d=alias, name=literal, table=sql.Identifier(table).as_string()))
    return " || ".join(parts)

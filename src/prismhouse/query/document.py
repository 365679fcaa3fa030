"""A document as the API shows it, made by PostgreSQL as JSON text, so that no Python object stands between."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg import sql

from prismhouse.storage.postgres.brought_vectors import shown
from prismhouse.storage.postgres.vectors import VectorIndex

__all__ = ["document_json"]

_VECTOR = (
    "coalesce((SELECT jsonb_build_object({name}, {shown}) FROM {table} AS v"
    " WHERE v.namespace_id = {d}.namespace_id AND v.document_id = {d}.document_id{several}), '{{}}')"
)

# An aggregate gives a row even where nothing stands.
_VECTORS = {
    several: _VECTOR.replace("{several}", " HAVING count(*) > 0" if several else "") for several in (False, True)
}


def document_json(alias: str, *, score: str | None = None, vectors: Mapping[str, VectorIndex] | None = None) -> str:
    """Return an expression of type jsonb for a row of `documents`.

    Args:
        alias: the row's name in the statement.
        score: an expression that becomes the root field `score`.
        vectors: field name to where the vectors are; each is read by the document's id.
    """
    parts = [f"shown_document({alias})"]
    if score is not None:
        parts.append(f"jsonb_build_object('score', {score})")
    for name, index in (vectors or {}).items():
        # A percent sign in a name would start a parameter.
        literal = sql.Literal(name).as_string().replace("%", "%%")
        table, one = sql.Identifier(index.table_name).as_string(), shown(index.kind, "v")
        parts.append(_VECTORS[index.kind == "multi"].format(d=alias, name=literal, table=table, shown=one))
    return " || ".join(parts)

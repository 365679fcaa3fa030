"""A document as the API shows it, made by PostgreSQL as JSON text, so that no Python object stands between."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg import sql

__all__ = ["document_json"]

_UTC = """'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""
_DOCUMENT = """
{d}.payload || jsonb_build_object(
  'document_id', {d}.document_id,
  'collection_id', {d}.collection_id,
  'document_blobs', {d}.document_blobs,
  '_internal', {d}.internal || jsonb_build_object(
    'namespace_id', {d}.namespace_id,
    'created_at', to_char({d}.created_at AT TIME ZONE 'UTC', {utc}),
    'updated_at', to_char({d}.updated_at AT TIME ZONE 'UTC', {utc}),
    'batch_id', {d}.batch_id,
    'content_hash', {d}.content_hash,
    'lineage', jsonb_build_object(
      'root_object_id', {d}.root_object_id,
      'root_bucket_id', {d}.root_bucket_id,
      'source_type', {d}.source_type,
      'source_object_id', {d}.source_object_id,
      'source_document_id', {d}.source_document_id,
      'source_collection_id', {d}.source_collection_id,
      'path', {d}.lineage_path,
      'chain', {d}.lineage_chain
    )
  )
)
"""
_VECTOR = """
coalesce((
  SELECT jsonb_build_object({name}, to_jsonb(v.embedding::real[])) FROM {table} AS v
  WHERE v.namespace_id = {d}.namespace_id AND v.document_id = {d}.document_id
), '{{}}')
"""


def document_json(alias: str, *, score: str | None = None, vectors: Mapping[str, str] | None = None) -> str:
    """Return an expression of type jsonb for a row of `documents`.

    Args:
        alias: the row's name in the statement.
        score: an expression that becomes the root field `score`.
        vectors: field name to vector table; each is read by the document's id.
    """
    parts = [" ".join(_DOCUMENT.split()).format(d=alias, utc=_UTC)]
    if score is not None:
        parts.append(f"jsonb_build_object('score', {score})")
    for name, table in (vectors or {}).items():
        # A percent sign in a name would start a parameter.
        literal = sql.Literal(name).as_string().replace("%", "%%")
        parts.append(_VECTOR.format(d=alias, name=literal, table=sql.Identifier(table).as_string()))
    return " || ".join(parts)

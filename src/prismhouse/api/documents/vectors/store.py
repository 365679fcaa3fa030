"""Statements about upserts with an idempotency key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb

from prismhouse.storage.postgres.database import NamespaceWriter, Record

__all__ = ["claim", "note_model", "settle"]

_FORGET = """
DELETE FROM upsert_receipts WHERE namespace_id = %(namespace_id)s AND created_at < now() - interval '7 days'
"""
_CLAIM = """
INSERT INTO upsert_receipts (namespace_id, idempotency_key, body_sha256)
VALUES (%(namespace_id)s, %(idempotency_key)s, %(body_sha256)s) ON CONFLICT DO NOTHING
"""
_FIND = """
SELECT body_sha256, answer FROM upsert_receipts
WHERE namespace_id = %(namespace_id)s AND idempotency_key = %(idempotency_key)s
"""
_SETTLE = """
UPDATE upsert_receipts SET answer = %(answer)s
WHERE namespace_id = %(namespace_id)s AND idempotency_key = %(idempotency_key)s
"""
_NOTE_MODEL = """
UPDATE vector_indexes SET model = %(model)s, model_fingerprint = %(fingerprint)s
WHERE namespace_id = %(namespace_id)s AND feature_uri = %(feature_uri)s
"""


async def claim(tx: NamespaceWriter, idempotency_key: str, body_sha256: str) -> Record | None:
    """Return the receipt of an earlier upsert, waiting for one under way; None: this one is the first."""
    await tx.execute(_FORGET)
    if await tx.execute(_CLAIM, {"idempotency_key": idempotency_key, "body_sha256": body_sha256}):
        return None
    return await tx.fetch_one(_FIND, {"idempotency_key": idempotency_key})


async def settle(tx: NamespaceWriter, idempotency_key: str, answer: Mapping[str, Any]) -> None:
    """Keep what the upsert answers."""
    await tx.execute(_SETTLE, {"idempotency_key": idempotency_key, "answer": Jsonb(dict(answer))})


async def note_model(tx: NamespaceWriter, feature_uri: str, model: str, fingerprint: str = "") -> None:
    """Write down which model makes query vectors for an index."""
    await tx.execute(_NOTE_MODEL, {"feature_uri": feature_uri, "model": model, "fingerprint": fingerprint})

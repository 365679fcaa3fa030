"""Files that documents own, from their storage to the commit of the documents."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence

from prismhouse.api.batches.service.documents import Written
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.work import Dropped
from prismhouse.engine.extractors.port import Artifact, RowResult
from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.blobs.port import StoredBlob
from prismhouse.storage.postgres.database import NamespaceWriter

__all__ = ["abandon_files", "drop_files", "keep_files", "settle_files", "store_files"]


async def store_files(
    parts: Parts, namespace_id: NamespaceId, results: Iterable[RowResult]
) -> Mapping[bytes, StoredBlob]:
    """Store the files that extractors made, equal ones once, before there are rows that name them.

    A sweep is told of them first, for the worker may die before its documents are committed. Raises Dropped where the
    namespace is gone.
    """
    files = [file for one in results for document in one.documents for file in document.artifacts]
    if not files:
        return {}
    hashes = await asyncio.to_thread(lambda: [hashlib.sha256(file.data).hexdigest() for file in files])
    if not await parts.objects.expect_bytes(namespace_id, hashes):
        raise Dropped
    return await _put(parts, namespace_id, files)


async def settle_files(parts: Parts, namespace_id: NamespaceId, written: Sequence[Written]) -> None:
    """Tell the sweep that documents name the files now."""
    if hashes := _hashes(written):
        await parts.objects.settle_bytes(namespace_id, hashes)


async def keep_files(parts: Parts, tx: NamespaceWriter, written: Sequence[Written], *, since: int) -> None:
    """Make sure that no sweep takes the files before `tx` commits; what one may have taken is stored again.

    Comes first in `tx`: a sweep waits for rows that others hold, so who waits for it must hold none.
    """
    hashes = _hashes(written)
    if hashes and not await parts.objects.keep_bytes(tx, hashes, since=since):
        await _put(parts, tx.namespace_id, (artifact for item in written for artifact in item.artifacts))


async def drop_files(parts: Parts, tx: NamespaceWriter, written: Sequence[Written]) -> None:
    """Leave the files of documents that are not written after all to the sweep."""
    await parts.objects.unreferenced(tx, _hashes(written))


async def abandon_files(parts: Parts, namespace_id: NamespaceId, written: Sequence[Written]) -> None:
    """Leave the files to the sweep, since the transaction with their documents failed."""
    if hashes := _hashes(written):
        await parts.objects.abandon(namespace_id, hashes)


def _hashes(written: Sequence[Written]) -> list[str]:
    return sorted({sha256 for item in written for sha256 in item.hashes})


async def _put(parts: Parts, namespace_id: NamespaceId, files: Iterable[Artifact]) -> Mapping[bytes, StoredBlob]:
    distinct = list(dict.fromkeys(file.data for file in files))
    return dict(zip(distinct, await parts.blobs.put_all(namespace_id, distinct), strict=True))

"""Objects of files that are in the blob store already: what the nouns above make of what was put there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prismhouse.api.buckets.schemas import Policy
from prismhouse.api.buckets.service import BucketRow
from prismhouse.api.objects import store
from prismhouse.api.objects.drafts import Draft, Filled, draft_of
from prismhouse.api.objects.gather import content_hash_of
from prismhouse.api.objects.service.replays import Created, apart
from prismhouse.api.objects.service.write import Writing
from prismhouse.api.web.caller import Scope
from prismhouse.kit.errors import WarehouseError
from prismhouse.storage.postgres.database import NamespaceWriter

__all__ = ["Placement"]


class Placement:
    """Makes objects of one file each, in the caller's transaction."""

    def __init__(self, writing: Writing) -> None:
        self._writing = writing

    @staticmethod
    def draft(
        bucket: BucketRow,
        fields: Mapping[str, Any],
        *,
        index: int,
        blob: Mapping[str, Any],
        skip_duplicates: bool,
        policy: Policy | None,
    ) -> Draft:
        """Return the object that a file is going to be; raise Invalid where the bucket does not take it.

        Args:
            bucket: where it goes, with the schema of now.
            fields: custom fields.
            index: its place among the drafts that are placed together.
            blob: `property`, `type` and `upload_id`.
            skip_duplicates: whether an object with this file is as good.
            policy: how the bucket's unique key is written.
        """
        raw = {**fields, "blobs": [blob], "skip_duplicates": skip_duplicates}
        location: list[str | int] = ["object_metadata"]
        return draft_of(
            bucket, raw, index=index, location=location, max_inline_bytes=0, partial=policy == "update", lone_file=True
        )

    @staticmethod
    def fill(draft: Draft, filled: Filled) -> None:
        """Say what the file is."""
        draft.filled = [filled]
        draft.content_hash = content_hash_of(draft)

    async def place(
        self, scope: Scope, tx: NamespaceWriter, bucket: BucketRow, drafts: Sequence[Draft], *, policy: Policy | None
    ) -> tuple[dict[int, Created], dict[int, WarehouseError]]:
        """Write filled drafts; return what became of each by its index: new, found again, or refused.

        `tx` holds the bucket and the bytes. Bytes of what is found again or refused are left to the sweep.
        """
        if policy is not None:
            return await self._one_by_one(scope, tx, bucket, drafts, policy)
        first, twins = apart(drafts)
        written, replays = await self._writing.many(scope, tx, bucket, first, twins=twins)
        return {item.index: item for item in (*written, *replays)}, {}

    async def _one_by_one(
        self, scope: Scope, tx: NamespaceWriter, bucket: BucketRow, drafts: Sequence[Draft], policy: Policy
    ) -> tuple[dict[int, Created], dict[int, WarehouseError]]:
        created: dict[int, Created] = {}
        failures: dict[int, WarehouseError] = {}
        for draft in drafts:
            try:
                async with tx.savepoint():
                    created[draft.index] = await self._writing.unique(scope, tx, bucket, draft, policy)
            except WarehouseError as error:
                failures[draft.index] = error
                await store.add_garbage(tx, [filled.sha256 for filled in draft.filled])
        return created, failures

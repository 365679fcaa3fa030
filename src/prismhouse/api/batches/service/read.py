"""Sources of a chunk become rows: mapped as their collection says, with paths of files that extraction can open."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any

from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.sources import Origin, files_of, with_bytes
from prismhouse.engine.extractors.port import ErrorType, ExtractorRecord, RowFailure
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.pipeline.rows import Mapped, SourceMapping, build_row, projected, strip_path
from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.blobs.port import BlobMissing

__all__ = ["GONE", "Reading"]

GONE = RowFailure(
    stage="load",
    code="source_gone",
    message="It was deleted before the batch came to it.",
    error_type=ErrorType.PERMANENT,
)


class Reading:
    """Reads the sources of one chunk for its collection."""

    def __init__(
        self,
        parts: Parts,
        namespace_id: NamespaceId,
        *,
        collection: Any,
        record: ExtractorRecord,
        origins: Mapping[str, Origin],
    ) -> None:
        self._parts = parts
        self._namespace_id = namespace_id
        self._collection = collection
        self._origins = origins
        self._mapping = SourceMapping(
            inputs=collection.input_mappings,
            required=frozenset(record.input_schema.get("required", ())) & collection.input_mappings.keys(),
            passthrough=collection.field_passthrough,
            include_all_source_fields=collection.include_all_source_fields,
        )
        self._wanted = {strip_path(path) for paths in self._mapping.inputs.values() for path in paths}
        self._shown = {strip_path(entry["source_path"]) for entry in self._mapping.passthrough}

    async def portions(self, source_ids: Sequence[str]) -> AsyncGenerator[dict[str, Mapped], None]:
        """Yield rows, by source, in portions whose files are there until the next one is asked for.

        Where files are local this is one portion; where they are remote, as many rows as there is room for copies.
        """
        copies, needed = self._parts.copies, {name: self._files(name) for name in source_ids}
        for names in copies.portions(self._namespace_id, needed):
            files = {sha256: size for name in names for sha256, size in needed[name].items()}
            async with copies.held(self._namespace_id, files) as paths:
                yield {name: await self._mapped(name, paths) for name in names}

    def _files(self, name: str) -> dict[str, int | None]:
        origin = self._origins.get(name)
        return files_of(origin, self._wanted, shown=self._shown) if origin is not None else {}

    async def _mapped(self, name: str, paths: Mapping[str, Path]) -> Mapped:
        """Return a source as a row, or why it cannot be one."""
        if (origin := self._origins.get(name)) is None:
            return Mapped(source_id=name, failure=GONE)
        added = self._collection.field_map.get(origin.collection_id or origin.bucket_id, ())
        source = projected(origin.source, added)
        try:
            located = await with_bytes(
                self._parts, self._namespace_id, origin, source, self._wanted, files=paths, shown=self._shown
            )
            return build_row(located, self._mapping)
        except MediaFault as fault:
            return Mapped(source_id=name, failure=_permanent(fault.code, fault.message))
        except BlobMissing as error:
            return Mapped(source_id=name, failure=_permanent("blob_missing", error.message))


def _permanent(code: str, message: str) -> RowFailure:
    return RowFailure(stage="load", code=code, message=message, error_type=ErrorType.PERMANENT)

"""Rows of samples through the very code that runs the rows of batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prismhouse.api.batches.service.extract import Extracted, Extraction
from prismhouse.api.batches.service.parts import Parts
from prismhouse.engine.extractors.port import Row
from prismhouse.kit.ids import NamespaceId

__all__ = ["AsBatchesDo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sampled:
    """What an extraction asks of a collection."""

    extractor_id: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AsBatchesDo:
    """Implements `Extract`. `parts` are those of batches, with the processes and turns of raw inference."""

    parts: Parts

    async def __call__(
        self, namespace_id: NamespaceId, extractor_id: str, parameters: Mapping[str, Any], rows: Sequence[Row]
    ) -> Mapping[str, Extracted]:
        """See `Extract`."""
        sampled = _Sampled(extractor_id=extractor_id, parameters=parameters)
        catalogue = self.parts.catalogue
        record = catalogue.configured(catalogue.by_id(extractor_id), parameters)
        async with self.parts.lent(namespace_id, parameters) as lent:
            extraction = Extraction(
                parts=self.parts, namespace_id=namespace_id, collection=sampled, record=record, lent=lent
            )
            return await extraction.run(rows)

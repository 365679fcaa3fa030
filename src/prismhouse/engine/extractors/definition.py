"""How an extractor presents itself to the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prismhouse.engine.extractors.parameters import Parameters
from prismhouse.engine.extractors.port import Extractor, ExtractorRecord, VectorOutput
from prismhouse.engine.media.limits import MediaLimits

__all__ = ["Definition", "Resources", "priced"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a compute process may use."""

    threads: int
    cache_dir: Path
    image_pixels: int
    media: MediaLimits = field(default_factory=MediaLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One extractor: its record, its parameters, and how to load it.

    `outputs` computes the vectors from validated parameters, for the extractors where those decide; `fields` the fields
    that documents have beside those of the record, as JSON schemas by name. `check` raises a WarehouseError where a
    model that the parameters need beside those of the vectors is not configured any more.
    """

    record: ExtractorRecord
    parameters: type[Parameters]
    load: Callable[[Mapping[str, Any], Resources], Extractor]
    outputs: Callable[[Mapping[str, Any]], tuple[VectorOutput, ...]] | None = None
    fields: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
    check: Callable[[Mapping[str, Any]], None] | None = None


def priced(tier: int, label: str, rates: Mapping[str, float]) -> dict[str, Any]:
    """Return the `costs` of a record: credits per unit. They are counted, nobody is charged."""
    listed = [{"unit": unit, "credits_per_unit": number, "description": None} for unit, number in rates.items()]
    return {"tier": tier, "tier_label": label, "rates": listed}

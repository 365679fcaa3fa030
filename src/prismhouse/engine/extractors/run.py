"""The entry point of compute processes: rows in, one result for each out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prismhouse.engine.extractors.bounds import bounded
from prismhouse.engine.extractors.catalogue import Catalogue
from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.port import Row, RowResult
from prismhouse.engine.media.image import MAX_PIXELS
from prismhouse.engine.media.limits import MediaLimits

__all__ = ["run_rows"]


def run_rows(
    extractor_id: str,
    parameters: Mapping[str, Any],
    rows: Sequence[Row],
    threads: int = 1,
    cache_dir: str = "",
    image_pixels: int = MAX_PIXELS,
    media: MediaLimits | None = None,
    most_documents: int | None = None,
) -> list[RowResult]:
    """Return one result per row, in the same order. Models are loaded once per process.

    Args:
        extractor_id: `name_version`.
        parameters: as `Catalogue.validate_parameters` gave them.
        rows: any number; memory is bounded by the largest row, not by their number.
        threads: threads of each model.
        cache_dir: folder that keeps converted models between processes; `~` is the home of who runs the process.
        image_pixels: larger images fail.
        media: limits of videos and sounds.
        most_documents: a row that gives more fails here, before its documents travel. None: no limit.

    Raises:
        ExtractorNotFound, ModelMissing, ModelDamaged, ExtraMissing: for the call as a whole.
    """
    definition = Catalogue().definition(extractor_id)
    complete = {**definition.record.default_parameters, **parameters}
    resources = Resources(
        threads=threads,
        cache_dir=Path(cache_dir).expanduser(),
        image_pixels=image_pixels,
        media=media or MediaLimits(),
    )
    results = definition.load(complete, resources)(rows)
    return [*results] if most_documents is None else [bounded(result, most_documents) for result in results]

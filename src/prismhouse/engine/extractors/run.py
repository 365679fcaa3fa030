"""The entry point of compute processes: rows in, one result for each out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prismhouse.engine.extractors.bounds import bounded
from prismhouse.engine.extractors.catalogue import Catalogue
from prismhouse.engine.extractors.checked import run_checked
from prismhouse.engine.extractors.custom import ExtractorBroken
from prismhouse.engine.extractors.definition import Definition, Resources
from prismhouse.engine.extractors.port import Extractor, Row, RowResult
from prismhouse.engine.inference.configured import ConfiguredModels
from prismhouse.engine.inference.lent import LentModel, lending
from prismhouse.engine.inference.registry import use_models
from prismhouse.engine.media.image import MAX_PIXELS
from prismhouse.engine.media.limits import MediaLimits
from prismhouse.kit.errors import WarehouseError

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
    models: ConfiguredModels | None = None,
    lent: Sequence[LentModel] = (),
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
        models: those of the file of models, as the caller read it. None: those that this process knows.
        lent: what the parameters name beyond those.

    Raises:
        ExtractorNotFound, ExtractorBroken, ModelMissing, ModelDamaged, ExtraMissing: for the call as a whole.
    """
    if models is not None:
        use_models(models)
    with lending(lent):
        catalogue = Catalogue()
        definition = catalogue.definition(extractor_id)
        complete = {**definition.record.default_parameters, **parameters}
        resources = Resources(
            threads=threads,
            cache_dir=Path(cache_dir).expanduser(),
            image_pixels=image_pixels,
            media=media or MediaLimits(),
        )
        if definition.record.source == "builtin":
            results = definition.load(complete, resources)(rows)
        else:
            loaded = _loaded(definition, complete, resources)
            results = run_checked(loaded, catalogue.configured(definition.record, complete), rows)
    return [*results] if most_documents is None else [bounded(result, most_documents) for result in results]


def _loaded(definition: Definition, parameters: Mapping[str, Any], resources: Resources) -> Extractor:
    """Return a custom extractor; what it raises on loading is no row's fault."""
    try:
        return definition.load(parameters, resources)
    except WarehouseError:
        raise
    except Exception as error:
        reason = f"Loading it raised {type(error).__name__}: {error}."
        raise ExtractorBroken(
            extractor=definition.record.extractor_id, package=definition.load.__module__, reason=reason
        ) from error

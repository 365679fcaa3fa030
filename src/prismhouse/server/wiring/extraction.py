"""What extraction processes are given: threads, models, limits."""

from __future__ import annotations

import os
from pathlib import Path

from prismhouse.api.batches.service.parts import ExtractorSettings
from prismhouse.engine.media.limits import MediaLimits
from prismhouse.server import adapters
from prismhouse.settings import Settings

__all__ = ["extraction", "models_dir"]


_CACHE_ON_NODES = "~/.cache/prismhouse/models"


def extraction(settings: Settings) -> ExtractorSettings:
    """Give each extraction process its share of the cores, so that together they do not ask for more than there are."""
    share = max(1, (os.cpu_count() or 1) // (adapters.processes(settings) * settings.worker.processes))
    return ExtractorSettings(
        threads=settings.inference.threads or share,
        cache_dir=_cache_on(settings),
        media=MediaLimits.of(settings.media),
        models=adapters.models(settings),
    )


def _cache_on(settings: Settings) -> str:
    """Nodes of a cluster have no data folder, and may not make one: there each user keeps models at home."""
    if settings.compute.kind == "ray" and settings.inference.cache_dir is None:
        return _CACHE_ON_NODES
    return str(models_dir(settings).absolute())


def models_dir(settings: Settings) -> Path:
    """Return where converted models are kept."""
    return settings.inference.cache_dir or settings.data_dir / "models"

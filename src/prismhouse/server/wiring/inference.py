"""Raw inference and tests of extractors: the models of queries, and processes of their own."""

from __future__ import annotations

from dataclasses import replace

from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.turns import Turns
from prismhouse.api.inference.service import (
    WRITING_THREADS,
    AnswerCache,
    AsBatchesDo,
    Inference,
    Pool,
    Room,
    Samples,
    Sources,
    Trials,
    Writers,
)
from prismhouse.engine.extractors.catalogue import Catalogue
from prismhouse.engine.inference.query import QueryEmbedder
from prismhouse.server.files import LocalFiles
from prismhouse.server.wiring.extraction import models_dir
from prismhouse.settings import Settings
from prismhouse.storage.compute.port import Compute
from prismhouse.storage.outbound import Fetcher

__all__ = ["inference"]


def inference(
    parts: Parts,
    catalogue: Catalogue,
    embedder: QueryEmbedder,
    fetcher: Fetcher,
    own: LocalFiles | None,
    *,
    compute: Compute,
    settings: Settings,
) -> tuple[Inference, Trials]:
    """Return raw inference and the tests of extractors: with the models of queries, and processes of their own."""
    given, turns = settings.inference, Turns(settings.inference.processes)
    room = Room(calls=given.calls, held_bytes=given.held_bytes)
    sources = Sources(fetcher, room, own=own, file_bytes=given.file_bytes)
    extraction = replace(parts.extraction, cache_dir=str(models_dir(settings).absolute()))
    extract = AsBatchesDo(replace(parts, compute=compute, turns=turns, extraction=extraction))
    samples = Samples(catalogue=catalogue, extract=extract, sources=sources, models=parts.models)
    inference = Inference(
        embedder=embedder,
        pool=Pool(compute, turns),
        sources=sources,
        samples=samples,
        catalogue=catalogue,
        settings=given,
        room=room,
        extraction=extraction,
        image_pixels=settings.limits.image_pixels,
        writers=Writers(extraction.cache_dir, Turns(WRITING_THREADS), image_pixels=settings.limits.image_pixels),
        cache=AnswerCache(most_bytes=given.cache_bytes, seconds=given.cache_seconds),
        models=parts.models,
    )
    return inference, Trials(samples=samples, room=room)

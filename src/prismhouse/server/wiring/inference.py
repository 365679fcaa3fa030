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
    Recall,
    Room,
    Samples,
    Seen,
    Sources,
    Trials,
    Vectors,
    Writers,
    Written,
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
    # A file by its address is on the way, and then read; one in base64 is a part of the body.
    call_bytes = settings.limits.body_bytes + 2 * given.file_bytes
    room = Room(calls=given.calls, held_bytes=given.held_bytes, call_bytes=call_bytes)
    sources = Sources(fetcher, own=own, file_bytes=given.file_bytes)
    extraction = replace(parts.extraction, cache_dir=str(models_dir(settings).absolute()))
    extract = AsBatchesDo(replace(parts, compute=compute, turns=turns, extraction=extraction))
    samples = Samples(catalogue=catalogue, extract=extract, sources=sources, models=parts.models)
    pool, image_pixels = Pool(compute, turns), settings.limits.image_pixels
    writers = Writers(extraction.cache_dir, Turns(WRITING_THREADS), image_pixels=image_pixels)
    cache = AnswerCache(most_bytes=given.cache_bytes, seconds=given.cache_seconds)
    recall = Recall(cache, embedder)
    inference = Inference(
        catalogue=catalogue,
        samples=samples,
        vectors=Vectors(
            recall=recall,
            embedder=embedder,
            pool=pool,
            extraction=extraction,
            warm_seconds=given.warm_seconds,
            models=parts.models,
        ),
        written=Written(recall=recall, writers=writers, sources=sources),
        seen=Seen(
            embedder=embedder,
            pool=pool,
            sources=sources,
            cache=cache,
            extraction=extraction,
            image_pixels=image_pixels,
            warm_seconds=given.warm_seconds,
        ),
        writers=writers,
        room=room,
        most_texts=given.texts,
        models=parts.models,
    )
    return inference, Trials(samples=samples, room=room)

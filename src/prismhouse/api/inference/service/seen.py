"""What a model says of a file: a picture's vector, or anything that is said in a process that can be killed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog

from prismhouse.api.batches.service.parts import ExtractorSettings
from prismhouse.api.inference.errors import FileRejected
from prismhouse.api.inference.model import File
from prismhouse.api.inference.service.asked import Asked, Told
from prismhouse.api.inference.service.cache import AnswerCache, Question
from prismhouse.api.inference.service.pool import Pool
from prismhouse.api.inference.service.sources import Sent, Sources
from prismhouse.engine.extractors.raw import RAW_TASKS
from prismhouse.engine.inference.query import QueryEmbedder, QueryImageRejected
from prismhouse.engine.inference.registry import check_installed
from prismhouse.engine.media.errors import MediaFault
from prismhouse.kit.errors import WarehouseError

__all__ = ["Seen"]

_log = structlog.get_logger(__name__)
_ANSWER_FILE = "prismhouse.engine.extractors.raw:answer_file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Has files looked at, or listened to."""

    embedder: QueryEmbedder
    pool: Pool
    sources: Sources
    cache: AnswerCache
    extraction: ExtractorSettings
    image_pixels: int
    warm_seconds: float

    async def answer(self, asked: Asked, file: File) -> Told:
        """Return what the model says of the file of a request; raise FileRejected."""
        async with self.sources.of(file, asked.call) as sent:
            try:
                return await self._answer(asked, file, sent)
            except MediaFault as fault:
                raise FileRejected(key=file.key, reason=fault.message) from fault
            except QueryImageRejected as error:
                raise FileRejected(key=file.key, reason=error.details["reason"]) from error
            except WarehouseError:
                raise
            except Exception as error:
                # What a library says of it may name files of this machine: it stands in the log.
                _log.error("a model failed on a file", model=asked.entry.name, exc_info=error)
                reason = f"{asked.entry.name} failed on it ({type(error).__name__})."
                raise FileRejected(key=file.key, reason=reason) from error

    async def _answer(self, asked: Asked, file: File, sent: Sent) -> Told:
        question: Question | None = None
        if asked.delta is not None:
            question = asked.about_file(file.kind, await sent.sha256())
            if (found := self.cache.find(question)) is not None:
                return Told(found, cached=True)
        data = await self._look(asked, sent)
        if question is not None:
            self.cache.keep(question, data)
        return Told(data)

    async def _look(self, asked: Asked, sent: Sent) -> Any:
        entry, given = asked.entry, self.extraction
        if entry.task not in RAW_TASKS:
            await self.embedder.warm(entry.name, patience_seconds=self.warm_seconds)
            with asked.call.hold(sent.size_bytes):
                vector = await self.embedder.embed_image(entry.name, await sent.read(), share=asked.share)
            return vector.tolist()
        check_installed(entry.name)
        return await self.pool.run(
            _ANSWER_FILE,
            entry.name,
            sent.path,
            dict(asked.parameters),
            given.threads,
            given.cache_dir,
            self.image_pixels,
            given.media,
            given.models,
            model=entry.name,
            share=asked.share,
        )

"""What a model writes to each prompt, and to a picture beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prismhouse.api.inference.errors import FileRejected
from prismhouse.api.inference.service.asked import Asked, Told
from prismhouse.api.inference.service.recall import Recall
from prismhouse.api.inference.service.sources import Sources
from prismhouse.api.inference.service.writing import Writers
from prismhouse.engine.media.errors import MediaFault

__all__ = ["Written"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Has prompts answered; those that are known are not sent again."""

    recall: Recall
    writers: Writers
    sources: Sources

    async def answer(self, asked: Asked) -> Told:
        """Return what is written to each prompt of a request; raise FileRejected for its picture."""
        file = asked.inputs.file
        if file is None:
            return await self._to(asked, None)
        async with self.sources.of(file, asked.call) as sent:
            with asked.call.hold(sent.size_bytes):
                try:
                    return await self._to(asked, await sent.read())
                except MediaFault as fault:
                    raise FileRejected(key=file.key, reason=fault.message) from fault

    async def _to(self, asked: Asked, picture: bytes | None) -> Told:
        async def make(prompts: Sequence[str]) -> list[Any]:
            return await self.writers.generate(
                asked.entry, prompts, asked.parameters, picture=picture, share=asked.share
            )

        return await self.recall.answer(asked, make, beside=picture or b"")

"""Models that write, asked by prompts: endpoints of the file of models."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import Field

from prismhouse.api.inference.service.pool import Turning
from prismhouse.engine.extractors.parameters import Parameters, validate
from prismhouse.engine.inference.entry import ModelEntry
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.port import GenerativeModel, Prompt, Style
from prismhouse.engine.media.image import decode_image
from prismhouse.kit import json
from prismhouse.kit.errors import Invalid, field_fault

__all__ = ["THREADS", "Writers"]

THREADS = 16
_PROMPTS_AT_A_TIME = 16
"""What is still written for a client that went away, and how long a namespace keeps a thread from others."""

_PICTURE_SIDE = 2048
_PICTURE_QUALITY = 90

Made = TypeVar("Made")


class _Writing(Parameters):
    """How something is written. `schema` stands beside these."""

    temperature: float | None = Field(None, ge=0, le=2, description="How freely.")
    top_p: float | None = Field(None, gt=0, le=1, description="From how much of the likeliest words.")
    max_tokens: int | None = Field(None, ge=1, le=100_000, description="How much at most.")
    system: str = Field("", max_length=20_000, description="What the model is told before the prompt.")


class Writers:
    """Its threads wait for other servers, and hold up nobody else. `turns` has a slot for each, as many as THREADS."""

    def __init__(self, cache_dir: Path | str, turns: Turning, *, image_pixels: int) -> None:
        self._cache_dir = Path(cache_dir)
        self._turns = turns
        self._image_pixels = image_pixels
        self._executor = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="writer")

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters with defaults; raise Invalid."""
        schema = given.get("schema")
        if schema is not None and not isinstance(schema, dict):
            raise Invalid([field_fault(["body", "parameters", "schema"], "Must be a JSON schema, an object.")])
        json.dumps(schema)  # refuses what is nested too deep
        try:
            return {**validate(_Writing, {name: given[name] for name in given if name != "schema"}), "schema": schema}
        except Invalid as error:
            faults = [
                field_fault(
                    ["body", "parameters", *fault["location"][3:]],
                    fault["message"].replace("Accepted: ", "Accepted: schema, "),
                    fault["type"],
                )
                for fault in error.details["validation_errors"]
            ]
            raise Invalid(faults) from error

    async def generate(
        self,
        model: ModelEntry,
        prompts: Sequence[str],
        parameters: Mapping[str, Any],
        *,
        picture: bytes | None,
        share: str,
    ) -> list[Any]:
        """Return an answer for each prompt: a text, or an object where a schema was given.

        Cancelling drops the prompts that have not begun.

        Raises:
            MediaFault: the picture is none that can be sent.
            EndpointFault: the model did not answer one of them.
        """
        images = () if picture is None else (await self._run(share, partial(self._jpeg, picture)),)
        written: list[Any] = []
        for start in range(0, len(prompts), _PROMPTS_AT_A_TIME):
            some = prompts[start : start + _PROMPTS_AT_A_TIME]
            written += await self._run(share, partial(self._write, model, some, parameters, images))
        return written

    async def _run(self, share: str, work: Callable[[], Made]) -> Made:
        """Return what a thread makes; its slot is held until it is done, whoever waits for it."""
        async with self._turns.turn(share):
            working = asyncio.wrap_future(self._executor.submit(work))
            try:
                return await asyncio.shield(working)
            except asyncio.CancelledError:
                await asyncio.wait([working])
                if not working.cancelled():
                    working.exception()  # nobody is left to be told
                raise

    def close(self) -> None:
        """End the threads; what they wait for has bounds of its own."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _write(
        self, entry: ModelEntry, prompts: Sequence[str], parameters: Mapping[str, Any], images: Sequence[bytes]
    ) -> list[Any]:
        model = cast("GenerativeModel", loaded(entry.name, threads=1, cache_dir=self._cache_dir))
        style = Style(
            as_object=parameters["schema"] is not None,
            schema=parameters["schema"],
            max_tokens=parameters["max_tokens"],
            temperature=parameters["temperature"],
            top_p=parameters["top_p"],
        )
        asked = [Prompt(text=text, instructions=parameters["system"], images=images) for text in prompts]
        made = model.generate(asked, style)
        for one in made:
            if one.fault is not None:
                raise one.fault
        return [one.text if one.value is None else dict(one.value) for one in made]

    def _jpeg(self, picture: bytes) -> bytes:
        from PIL.Image import Resampling

        image = decode_image(picture, max_pixels=self._image_pixels, draft_side=_PICTURE_SIDE).image
        image.thumbnail((_PICTURE_SIDE, _PICTURE_SIDE), Resampling.LANCZOS)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=_PICTURE_QUALITY)
        return buffer.getvalue()

"""What a worker does now and then, besides jobs."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from prismhouse.api.objects.service import Objects

__all__ = ["keep_swept"]

_log = structlog.get_logger(__name__)


async def keep_swept(objects: Objects, stop: asyncio.Event, *, every_seconds: float = 900) -> None:
    """Delete bytes that crashes and failures left without an object, now and every so often, until `stop` is set."""
    while not stop.is_set():
        try:
            if deleted := await objects.sweep():
                _log.info("bytes without an object were deleted", files=deleted)
        except Exception:  # noqa: BLE001 - recorded, and tried again
            _log.exception("a sweep of bytes failed, the next one takes them")
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), every_seconds)

"""The pictures of pages: fetched as pages are, and made small before they travel."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from dataclasses import replace

from prismhouse.engine.extractors.port import ErrorType, RowFailure
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.image import decode_image
from prismhouse.engine.web.found import Page, Shown, WebFault
from prismhouse.engine.web.visit import Browser, OffSite
from prismhouse.settings import WebSettings

__all__ = ["with_pictures"]

_SIDE = 448
_LEAST_SIDE = 32
_DRAWN = (".svg", ".ico")


async def with_pictures(
    pages: Sequence[Page], browser: Browser, settings: WebSettings, *, pixels: int, room_bytes: int
) -> tuple[list[Page], list[RowFailure]]:
    """Return the pages with small JPEGs of their first pictures, and what could not be had.

    A picture that several pages show is fetched once. Drawings (SVG) and what is too small to show anything are left
    as links.
    """
    chosen: dict[str, None] = {}
    for page in pages:
        for image in [image for image in page.images if not _is_drawn(image)][: settings.images_per_page]:
            if len(chosen) < settings.images:
                chosen[image.url] = None
    had: dict[str, bytes] = {}
    failures: list[RowFailure] = []
    urls, size = list(chosen), 0
    while urls and browser.left_seconds > 0 and size < room_bytes:
        group = urls[: 1 if await browser.is_slow(urls[0]) else settings.connections]
        urls = urls[len(group) :]
        made = await asyncio.gather(*(_small(url, browser, settings.image_bytes, pixels) for url in group))
        for url, picture in zip(group, made, strict=True):
            if isinstance(picture, RowFailure):
                failures.append(picture)
            elif picture is not None:
                had[url] = picture
                size += len(picture)
    if urls:
        message = f"{len(urls)} pictures were not fetched: the crawl had no time, or no room, for them."
        failures.append(_failure("images_left_out", message))
    return [
        replace(page, images=[replace(image, data=had.get(image.url)) for image in page.images]) for page in pages
    ], failures


async def _small(url: str, browser: Browser, most_bytes: int, pixels: int) -> bytes | RowFailure | None:
    try:
        answer = await browser.visit(url, most_bytes=most_bytes, is_picture=True)
        if answer.is_cut:
            return _failure("image_too_large", f"{url}: it has more than {most_bytes} bytes.")
        if answer.content_type.startswith("image/svg"):
            return None
        return _jpeg(answer.body, pixels)
    except WebFault as fault:
        return _failure(fault.code, fault.message)
    except MediaFault as fault:
        return _failure(fault.code, f"{url}: {fault.message}")
    except OffSite:
        return None


def _jpeg(data: bytes, pixels: int) -> bytes | None:
    picture = decode_image(data, max_pixels=pixels, draft_side=_SIDE)
    if min(picture.width, picture.height) < _LEAST_SIDE:
        return None
    small = picture.image
    small.thumbnail((_SIDE, _SIDE))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=90)
    return out.getvalue()


def _is_drawn(image: Shown) -> bool:
    return image.url.partition("?")[0].lower().endswith(_DRAWN)


def _failure(code: str, message: str) -> RowFailure:
    kind = ErrorType.PERMANENT
    return RowFailure(stage="fetch", code=code, message=message, error_type=kind, missing_feature="image_embedding")

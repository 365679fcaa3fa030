"""The pictures of pages: fetched as pages are; large ones are made small before they travel."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from dataclasses import replace

from prismhouse.engine.extractors.port import RowFailure
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.web.decode import SIDE, picture_failure, read_picture, unseen
from prismhouse.engine.web.found import Page, Shown, WebFault
from prismhouse.engine.web.visit import Browser, OffSite
from prismhouse.settings import WebSettings

__all__ = ["with_pictures"]

_SMALL_BYTES = 128 * 1024
"""What is not larger travels as it is: making it smaller would cost four times its decoding."""

_DRAWN = (".svg", ".ico")


async def with_pictures(
    pages: Sequence[Page], browser: Browser, settings: WebSettings, *, pixels: int, room_bytes: int
) -> tuple[list[Page], list[RowFailure]]:
    """Return the pages with small files of their first pictures, and what could not be had.

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
        failures.append(picture_failure("images_left_out", message))
    return [
        replace(page, images=[replace(image, data=had.get(image.url)) for image in page.images]) for page in pages
    ], failures


async def _small(url: str, browser: Browser, most_bytes: int, pixels: int) -> bytes | RowFailure | None:
    try:
        answer = await browser.visit(url, most_bytes=most_bytes, is_picture=True)
        if answer.is_cut:
            return picture_failure("image_too_large", f"{url}: it has more than {most_bytes} bytes.")
        if answer.content_type.startswith("image/svg"):
            return None
        return answer.body if len(answer.body) <= _SMALL_BYTES else _jpeg(answer.body, pixels)
    except WebFault as fault:
        return picture_failure(fault.code, fault.message)
    except MediaFault as fault:
        return unseen(url, fault)
    except OffSite:
        return None


def _jpeg(data: bytes, pixels: int) -> bytes | None:
    picture = read_picture(data, pixels)
    if picture is None:
        return None
    small = picture.image
    small.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=90)
    return out.getvalue()


def _is_drawn(image: Shown) -> bool:
    return image.url.partition("?")[0].lower().endswith(_DRAWN)

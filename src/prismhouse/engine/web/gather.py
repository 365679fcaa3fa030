"""The entry point of crawling processes: a row that names a site becomes one that holds its pages."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from prismhouse.engine.extractors.port import ErrorType, Part, Row, RowFailure, RowResult
from prismhouse.engine.extractors.rows import parts
from prismhouse.engine.media.image import MAX_PIXELS
from prismhouse.engine.web.crawl import crawl
from prismhouse.engine.web.found import WebFault
from prismhouse.engine.web.rules import CrawlRules
from prismhouse.settings import OutboundSettings, WebSettings

__all__ = ["GATHER", "GatherSettings", "gather"]

GATHER = "prismhouse.engine.web.gather:gather"
_YOUTUBE = ("youtube.com", "youtu.be", "youtube-nocookie.com")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatherSettings:
    """Limits of crawls, as a crawling process takes them."""

    outbound: OutboundSettings = field(default_factory=OutboundSettings)
    web: WebSettings = field(default_factory=WebSettings)
    image_pixels: int = MAX_PIXELS


def gather(parameters: Mapping[str, Any], row: Row, settings: GatherSettings) -> Row | RowResult:
    """Return the row with the crawl of its `url` as the input `crawl`; or its failure.

    Args:
        parameters: of the extractor, validated.
        row: with the input `url`.
        settings: limits.

    Cost: mostly waiting, up to the parameter crawl_timeout.
    """
    try:
        seed = _seed(row)
        _refuse_youtube(seed, parameters)
        rules = CrawlRules.of(parameters)
        crawled = asyncio.run(crawl(seed, rules, settings.outbound, settings.web, pixels=settings.image_pixels))
    except WebFault as fault:
        kind = ErrorType.TRANSIENT if fault.is_passing else ErrorType.PERMANENT
        failure = RowFailure(stage="fetch", code=fault.code, message=fault.message, error_type=kind)
        return RowResult(row_id=row.row_id, failure=failure)
    part = Part(type="json", value=crawled, size_bytes=crawled.size_bytes)
    return replace(row, inputs={**row.inputs, "crawl": part})


def _seed(row: Row) -> str:
    given = parts(row, "url")
    if len(given) != 1 or not isinstance(address := given[0].text or given[0].value or given[0].url, str):
        raise WebFault("bad_url", "The input url takes one address, as text. Use one object for each site.")
    return address.strip()


def _refuse_youtube(seed: str, parameters: Mapping[str, Any]) -> None:
    try:
        host = (urlsplit(seed).hostname or "").lower()
    except ValueError:
        return
    if parameters["youtube_mode"] != "off" and any(host == name or host.endswith(f".{name}") for name in _YOUTUBE):
        message = "Videos of YouTube are not fetched. Upload the videos, or set youtube_mode to off to read the page."
        raise WebFault("youtube_unserved", message)

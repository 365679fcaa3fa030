"""What a crawl brings home."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from prismhouse.engine.extractors.port import RowFailure

__all__ = ["Asset", "Code", "Crawled", "Page", "Shown", "WebFault"]


class WebFault(Exception):
    """A page could not be had. `code` is stable; `is_passing` says that trying again later may help."""

    def __init__(self, code: str, message: str, *, is_passing: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.is_passing = is_passing


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A block of code; `offset` is where it begins in the text of its page."""

    offset: int
    code: str
    language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A picture of a page; `data` is a small JPEG of it where it was looked at."""

    offset: int
    url: str
    alt: str = ""
    data: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A file that a page links to, such as a PDF."""

    offset: int
    url: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page that was read. `parent` is the address of the page that named it first; None for the first one.

    `left_out` counts what the lists lack, by the name of the field: a page may have more than is kept of it.
    """

    url: str
    title: str
    content: str
    depth: int = 0
    parent: str | None = None
    code_blocks: Sequence[Code] = ()
    images: Sequence[Shown] = ()
    assets: Sequence[Asset] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crawled:
    """The pages of a site in the order they were found in, what failed on the way, and how many were left out.

    They are not shown: `asyncio.run` has its task described at the end, which took as long as parsing half the pages.
    """

    pages: Sequence[Page] = field(default=(), repr=False)
    failures: Sequence[RowFailure] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """What it weighs, about."""
        return sum(len(page.content) + sum(len(image.data or b"") for image in page.images) for page in self.pages)

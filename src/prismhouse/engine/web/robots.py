"""What a site lets programs do (RFC 9309): one robots.txt for each origin, read once in a crawl."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from prismhouse import __version__
from prismhouse.engine.inference.errors import ExtraMissing

if TYPE_CHECKING:
    from protego import Protego

__all__ = ["AGENT", "ALL_CLOSED", "ALL_OPEN", "MOST_BYTES", "USER_AGENT", "Robots", "parsed"]

AGENT = "prismhouse"
USER_AGENT = f"Mozilla/5.0 (compatible; {AGENT}/{__version__})"
MOST_BYTES = 500 * 1024
"""What must be read of a robots.txt at least; the rest of a longer one is left."""


@dataclass(frozen=True, slots=True)
class Robots:
    """Rules of one origin. Without a file everything is open, or closed where the file could not be had."""

    rules: Protego | None
    is_open: bool = True

    def allows(self, url: str) -> bool:
        """Whether the address may be fetched."""
        return self.is_open if self.rules is None else bool(self.rules.can_fetch(url, AGENT))

    @property
    def delay_seconds(self) -> float:
        """The pause that is asked for, 0 for none."""
        asked = None if self.rules is None else self.rules.crawl_delay(AGENT)
        return max(0.0, float(asked or 0.0))


ALL_OPEN = Robots(None)
ALL_CLOSED = Robots(None, is_open=False)


def parsed(body: bytes) -> Robots:
    """Return the rules of a file, of which broken lines count for nothing."""
    try:
        from protego import Protego
    except ImportError as error:
        raise ExtraMissing(needed_for="web_scraper", package="protego", extra="web") from error
    return Robots(Protego.parse(body[:MOST_BYTES].decode("utf-8-sig", "replace")))

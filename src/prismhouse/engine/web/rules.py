"""What a crawl was asked for, and which addresses it may go to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import regex

from prismhouse.engine.web.address import same_site
from prismhouse.engine.web.found import WebFault

__all__ = ["CrawlRules", "compiled"]

_PATTERN_SECONDS = 0.25


def compiled(pattern: str) -> regex.Pattern[str]:
    """Return a pattern, told apart by upper and lower case as addresses are; raise ValueError for what is none."""
    try:
        return regex.compile(pattern, cache_pattern=False)
    except (regex.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{pattern[:200]!r} is not a regular expression: {error}.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlRules:
    """The parameters of the extractor that a crawl goes by."""

    max_depth: int
    max_pages: int
    timeout_seconds: float
    include: Sequence[regex.Pattern[str]] = ()
    exclude: Sequence[regex.Pattern[str]] = ()
    retries: int = 3
    retry_seconds: float = 1.0
    longest_retry_seconds: float = 30.0
    heeds_retry_after: bool = True
    keeps_cookies: bool = True
    detects_captcha: bool = True
    delay_seconds: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    wants_images: bool = True

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> CrawlRules:
        """Return the rules in validated parameters."""
        return cls(
            max_depth=parameters["max_depth"],
            max_pages=parameters["max_pages"],
            timeout_seconds=parameters["crawl_timeout"],
            include=[compiled(pattern) for pattern in parameters["include_patterns"] or ()],
            exclude=[compiled(pattern) for pattern in parameters["exclude_patterns"] or ()],
            retries=parameters["max_retries"],
            retry_seconds=parameters["retry_base_delay"],
            longest_retry_seconds=parameters["retry_max_delay"],
            heeds_retry_after=parameters["respect_retry_after"],
            keeps_cookies=parameters["persist_cookies"],
            detects_captcha=parameters["detect_captcha"],
            delay_seconds=parameters["delay_between_requests"],
            headers=parameters["custom_headers"] or {},
            wants_images=parameters["generate_image_embeddings"] or parameters["generate_structure_embeddings"],
        )

    def follows(self, url: str, seed: str) -> bool:
        """Whether a crawl from `seed` goes to an address.

        It stays on the site, among what is included and not excluded. Another site is open to a pattern that names
        it: one with `://` in it.

        Raises:
            WebFault: a pattern takes too long.
        """
        if any(_found(pattern, url) for pattern in self.exclude):
            return False
        if same_site(url, seed):
            return not self.include or any(_found(pattern, url) for pattern in self.include)
        return any("://" in pattern.pattern and _found(pattern, url) for pattern in self.include)


def _found(pattern: regex.Pattern[str], url: str) -> bool:
    try:
        return pattern.search(url, timeout=_PATTERN_SECONDS) is not None
    except TimeoutError as error:
        message = (
            f"The pattern {pattern.pattern[:200]!r} takes more than {_PATTERN_SECONDS} s for one address. Make it"
            " simpler, without repetitions inside repetitions."
        )
        raise WebFault("pattern_too_slow", message) from error

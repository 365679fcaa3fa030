"""Regular expressions that users send: bounded before they are compiled, and stopped when they run too long."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import regex

__all__ = [
    "MAX_PATTERN",
    "PATTERN_SECONDS",
    "PATTERN_STEPS",
    "UnfitPattern",
    "checked_pattern",
    "found",
    "patterns_within",
]

MAX_PATTERN = 1_000
PATTERN_STEPS = 2_000
"""How long a pattern may be with its repetitions written out, as the engine does: `(ab){3}+` counts 12."""
PATTERN_SECONDS = 5.0
"""How long the regular expressions of one filter may take, over all the records it looks at."""
# Groups that mean nothing else to PostgreSQL, and no recursion, comments or verbose mode: so a pattern is as large as
# it looks.
_TOKEN = re.compile(
    r"""(?P<open>\((?:\?(?:P?<[A-Za-z_]\w*>|P=\w+|<?[=!]|[:>|]|[ims]+:?|[ims]*-[ims]+:))?)
    |(?P<close>\))
    |\{(?P<least>\d*)(?:,\d*)?\}
    |(?P<plus>\+)
    |(?P<any>[*?])
    |(?P<atom>\\.|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]|.)""",
    re.DOTALL | re.VERBOSE,
)
_allowed: ContextVar[tuple[float, float] | None] = ContextVar("patterns_allowed", default=None)
"""How many seconds there were, and when they end."""


class UnfitPattern(ValueError):
    """A pattern that cannot be used; the text says why."""


def checked_pattern(text: str) -> str:
    """Return the pattern; raise UnfitPattern for one that is none, or too large to be compiled."""
    if len(text) > MAX_PATTERN:
        raise UnfitPattern(f"must be a pattern of at most {MAX_PATTERN} characters")
    if _steps(text) > PATTERN_STEPS:
        raise UnfitPattern(f"repeats too much: written out, a pattern has at most {PATTERN_STEPS} characters")
    try:
        _compiled(text, True)
    except (regex.error, RecursionError, OverflowError) as error:
        raise UnfitPattern(f"is not a valid regular expression: {error}") from error
    return text


def found(pattern: str, text: str, *, case_sensitive: bool) -> bool:
    """Return whether the pattern matches somewhere in the text; raise TimeoutError, with the seconds it had."""
    seconds, until = _allowed.get() or (PATTERN_SECONDS, time.monotonic() + PATTERN_SECONDS)
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError(seconds)
    try:
        # Concurrent: other threads go on meanwhile.
        return _compiled(pattern, case_sensitive).search(text, timeout=left, concurrent=True) is not None
    except TimeoutError as error:
        raise TimeoutError(seconds) from error


@contextmanager
def patterns_within(seconds: float) -> Iterator[None]:
    """Give all searches inside so many seconds together."""
    token = _allowed.set((seconds, time.monotonic() + seconds))
    try:
        yield
    finally:
        _allowed.reset(token)


@lru_cache(maxsize=128)
def _compiled(pattern: str, case_sensitive: bool) -> Any:
    flags = regex.DOTALL | (0 if case_sensitive else regex.IGNORECASE)
    return regex.compile(pattern, flags, cache_pattern=False)


def _steps(text: str) -> int:
    """Return how many characters the pattern has with its repetitions written out; what it gets wrong is more."""
    sums, last, before = [0], 1, ""
    for token in _TOKEN.finditer(text):
        match token.lastgroup:
            case "open":
                sums.append(0)
            case "close":
                if len(sums) > 1:
                    inner = sums.pop()
                    sums[-1] += inner
                    last = inner or last  # flags and such, which a repetition passes over
            case "atom":
                sums[-1] += 1
                last = 1
            case "any":
                if before == "open":
                    raise UnfitPattern("has a group that is not known here: use (...), (?:...), (?=...) or (?!...)")
            case kind:
                times = 2 if kind == "plus" else max(2, int(token["least"] or 0)) if token["least"] != "0" else 1
                sums[-1] += last * (times - 1)
                last *= times
        before = token.lastgroup or ""
    return sum(sums)

"""One visit to an address: by the rules of robots.txt, at the site's pace, with its redirects, cookies and retries."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

import httpx2

from prismhouse.engine.web import robots
from prismhouse.engine.web.address import joined, origin_of
from prismhouse.engine.web.found import WebFault
from prismhouse.engine.web.robots import USER_AGENT, Robots
from prismhouse.engine.web.rules import CrawlRules
from prismhouse.storage.outbound import URLRefused, URLUnreachable, Visited, Visitor
from prismhouse.storage.outbound.guard import without_secrets

__all__ = ["Answer", "Browser"]

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_MOST_REDIRECTS = 5
_MOST_COOKIES = 50
_MOST_DIGITS = 9
_SHOWN_CHARS = 500
_OTHER_BYTES = 64 * 1024
_ACCEPT = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.5"
_CHALLENGES = (b"cf-chl-", b"g-recaptcha", b"h-captcha", b"cf-turnstile", b"challenge-platform", b"captcha-delivery")
_CHALLENGE_STATUSES = frozenset({401, 403, 405, 429, 503})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A 200, and the address that gave it."""

    url: str
    body: bytes
    is_cut: bool
    content_type: str
    charset: str | None
    robots_header: str


class OffSite(Exception):
    """A redirect leads to where the crawl does not go."""


class Browser:
    """Makes the requests of one crawl. Nothing of it outlives the crawl, and no other crawl sees its cookies.

    Args:
        visitor: makes single requests, guarded.
        rules: of the crawl.
        home: the address it begins at; headers of the user go to its origin alone.
        pause_seconds: longest pause that robots.txt is granted.
        deadline: when the crawl ends, by `time.monotonic`.
    """

    def __init__(
        self, visitor: Visitor, rules: CrawlRules, *, home: str, pause_seconds: float, deadline: float
    ) -> None:
        self._visitor = visitor
        self._rules = rules
        self._home = home
        self._pause_seconds = pause_seconds
        self._deadline = deadline
        self._cookies = httpx2.Cookies()
        self._robots: dict[str, asyncio.Task[Robots]] = {}
        self._pace = asyncio.Lock()
        self._next: dict[str, float] = {}

    @property
    def left_seconds(self) -> float:
        """What is left of the time of the crawl."""
        return self._deadline - time.monotonic()

    async def is_slow(self, url: str) -> bool:
        """Whether there are pauses between requests to an address, or nobody knows: its robots.txt is not to be had."""
        try:
            return (await self._delay(url)) > 0
        except WebFault:
            return True

    async def visit(self, url: str, *, most_bytes: int, is_picture: bool = False, site: str | None = None) -> Answer:
        """Return the page at an address, after redirects.

        Args:
            url: a normalized address.
            most_bytes: of the body; what is longer comes cut.
            is_picture: pictures are fetched; anything but HTML is not otherwise.
            site: an address of the site that redirects must not leave; None where they may.

        Raises:
            WebFault: with the code of what is in the way.
            OffSite: redirected to where the crawl does not go.
        """
        seen = {url}
        for _ in range(_MOST_REDIRECTS + 1):
            if not (await self.rules_of(url)).allows(url):
                raise WebFault("robots_disallowed", f"{_named(url)}: its robots.txt does not allow it.")
            visited = await self._tried(url, most_bytes, is_picture=is_picture)
            if visited.status not in _REDIRECTS or "location" not in visited.headers:
                return self._judged(visited)
            target = joined(url, visited.headers["location"])
            if target is None:
                raise WebFault("bad_redirect", f"{_named(url)} redirects to what is no address of a page.")
            if site is not None and not self._rules.follows(target, site):
                raise OffSite
            if target in seen and not self._rules.keeps_cookies:
                raise WebFault("redirect_loop", f"{_named(url)} redirects in a circle.")
            seen.add(target)
            url = target
        raise WebFault("redirect_loop", f"{_named(url)}: more than {_MOST_REDIRECTS} redirects lead there.")

    async def rules_of(self, url: str) -> Robots:
        """Return what the robots.txt of an origin says; raise WebFault where it could not be had."""
        origin = origin_of(url)
        if origin not in self._robots:
            self._robots[origin] = asyncio.create_task(self._read_robots(origin))
        return await asyncio.shield(self._robots[origin])

    async def _read_robots(self, origin: str) -> Robots:
        """By RFC 9309, 2.3.1: no file opens all; a site that cannot be asked is closed, and tried again later."""
        url = f"{origin}/robots.txt"
        for _ in range(_MOST_REDIRECTS + 1):
            try:
                visited = await self._tried(url, robots.MOST_BYTES, is_picture=False, is_robots=True)
            except WebFault as fault:
                if fault.code != "page_unavailable":
                    raise
                message = f"{_named(url)} cannot be had, so nothing there may be fetched: {fault.message}"
                raise WebFault("robots_unreachable", message, is_passing=True) from fault
            if visited.status not in _REDIRECTS:
                return robots.parsed(visited.body) if visited.status == 200 else robots.ALL_OPEN
            target = joined(url, visited.headers.get("location", ""))
            if target is None:
                return robots.ALL_OPEN
            url = target
        return robots.ALL_OPEN

    async def _tried(self, url: str, most_bytes: int, *, is_picture: bool, is_robots: bool = False) -> Visited:
        """Return an answer whose status is not a passing failure; raise WebFault after the last attempt."""
        fault = WebFault("page_unreachable", f"{_named(url)}: there was no time left for it.", is_passing=True)
        for attempt in range(self._rules.retries + 1):
            asked: float | None = None
            try:
                visited = await self._once(url, most_bytes, is_picture=is_picture, is_robots=is_robots)
            except URLRefused as error:
                raise WebFault("address_refused", error.message) from error
            except URLUnreachable as error:
                fault = WebFault("page_unreachable", error.message, is_passing=True)
            else:
                if visited.status not in _PASSING or self._is_challenge(visited):
                    return visited
                fault = WebFault("page_unavailable", f"{_named(url)} answers {visited.status}.", is_passing=True)
                asked = _seconds(visited.headers.get("retry-after")) if self._rules.heeds_retry_after else None
            pause = self._backoff(attempt) if asked is None else asked
            if asked is not None and asked > self._rules.longest_retry_seconds:
                message = f"{fault.message} It asks to wait {asked:g} s, longer than retry_max_delay."
                raise WebFault(fault.code, message, is_passing=True)
            if attempt == self._rules.retries or pause >= self.left_seconds:
                break
            await asyncio.sleep(pause)
        raise fault

    def _backoff(self, attempt: int) -> float:
        longest = min(self._rules.retry_seconds * 2.0**attempt, self._rules.longest_retry_seconds)
        return longest * random.uniform(0.75, 1.0)  # noqa: S311 - crawls that failed together come back apart

    async def _once(self, url: str, most_bytes: int, *, is_picture: bool, is_robots: bool) -> Visited:
        if not is_robots:
            await self._turn(url)
        left = self.left_seconds
        if left <= 0:
            raise URLUnreachable(url=without_secrets(url), reason="the time of the crawl is over")
        wanted = _Wanted(most_bytes, is_picture=is_picture, is_robots=is_robots)
        visited = await self._visitor.get(url, self._headers(url), appetite=wanted, timeout_seconds=left)
        if self._rules.keeps_cookies and len(self._cookies) < _MOST_COOKIES:
            self._cookies.extract_cookies(visited.response)
        return visited

    def _headers(self, url: str) -> dict[str, str]:
        headers = {"User-Agent": USER_AGENT, "Accept": _ACCEPT}
        if _is_home(url, self._home):
            headers |= {name.title(): value for name, value in self._rules.headers.items()}
        request = httpx2.Request("GET", url)
        self._cookies.set_cookie_header(request)
        kept = [value for value in (headers.get("Cookie"), request.headers.get("cookie")) if value]
        return headers | {"Cookie": "; ".join(kept)} if kept else headers

    async def _turn(self, url: str) -> None:
        """Wait until the pause since the last request to an origin is over."""
        delay = await self._delay(url)
        if not delay:
            return
        async with self._pace:
            now = time.monotonic()
            due = max(now, self._next.get(origin_of(url), now))
            self._next[origin_of(url)] = due + delay
        await asyncio.sleep(min(due - now, max(0.0, self.left_seconds)))

    async def _delay(self, url: str) -> float:
        robots_txt = await self.rules_of(url)
        asked: float = min(robots_txt.delay_seconds, self._pause_seconds)
        return max(self._rules.delay_seconds, asked)

    def _is_challenge(self, visited: Visited) -> bool:
        if not self._rules.detects_captcha:
            return False
        if visited.headers.get("cf-mitigated", "").lower() == "challenge":
            return True
        head = visited.body[:_OTHER_BYTES].lower()
        return visited.status in _CHALLENGE_STATUSES and any(sign in head for sign in _CHALLENGES)

    def _judged(self, visited: Visited) -> Answer:
        named, status = _named(visited.url), visited.status
        if self._is_challenge(visited):
            message = f"{named} asks for proof that a person reads it (a captcha), and no service solves them here."
            raise WebFault("captcha", message)
        if status in {404, 410}:
            raise WebFault("page_not_found", f"{named} answers {status}.")
        if status in {401, 402, 403, 407, 451}:
            message = f"{named} answers {status}. Credentials go into custom_headers."
            raise WebFault("page_forbidden", message)
        if status != 200:
            raise WebFault("page_status", f"{named} answers {status}.")
        content_type, _, rest = visited.headers.get("content-type", "").partition(";")
        charset = next((part.partition("=")[2] for part in rest.split(";") if "charset=" in part.lower()), None)
        return Answer(
            url=visited.url,
            body=visited.body,
            is_cut=visited.is_cut,
            content_type=content_type.strip().lower(),
            charset=charset.strip(" \"'") if charset else None,
            robots_header=",".join(visited.headers.get_list("x-robots-tag")),
        )


@dataclass(frozen=True, slots=True)
class _Wanted:
    """How much of an answer is read: nothing of files that are no pages."""

    most_bytes: int
    is_picture: bool
    is_robots: bool

    def __call__(self, status: int, headers: httpx2.Headers) -> int:
        if status != 200:
            return 0 if status in _REDIRECTS or self.is_robots or self.is_picture else _OTHER_BYTES
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if not self.is_picture and not self.is_robots and kind and not is_page(kind):
            return 0
        return self.most_bytes


def is_page(content_type: str) -> bool:
    """Whether it is HTML."""
    return content_type in {"text/html", "application/xhtml+xml"}


def _is_home(url: str, home: str) -> bool:
    """Whether headers of the user may go there: to the origin that they are for, or to the same host by TLS."""
    mine, other = httpx2.URL(home), httpx2.URL(url)
    if (mine.scheme, mine.host, mine.port) == (other.scheme, other.host, other.port):
        return True
    return mine.host == other.host and other.scheme == "https" and mine.port is None and other.port is None


def _named(url: str) -> str:
    return url[:_SHOWN_CHARS]


def _seconds(header: str | None) -> float | None:
    """Return what `Retry-After` asks for, given in seconds or as a time."""
    if header is None:
        return None
    header = header.strip()
    if header.isascii() and header.isdigit():
        return float(header[:_MOST_DIGITS])
    try:
        moment = parsedate_to_datetime(header)
        return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None

"""From page to page, breadth first. Which pages come, and in what order, does not depend on who answers first."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter, deque
from dataclasses import dataclass, field, replace

from prismhouse.engine.extractors.port import ErrorType, RowFailure
from prismhouse.engine.web.address import identity, normalized
from prismhouse.engine.web.charset import decoded
from prismhouse.engine.web.found import Asset, Crawled, Page, WebFault
from prismhouse.engine.web.page import Parsed, parse
from prismhouse.engine.web.pictures import with_pictures
from prismhouse.engine.web.rules import CrawlRules
from prismhouse.engine.web.visit import Answer, Browser, OffSite, is_page
from prismhouse.settings import OutboundSettings, WebSettings
from prismhouse.storage.outbound import Visitor
from prismhouse.storage.outbound.guard import without_secrets

__all__ = ["crawl"]

_MOST_WAITING = 50_000
_MOST_TOLD = 50
_SHOWN_CHARS = 500
# Redirects, copies and failures are visits that give no page: a site that has nothing else is left in the end.
_VISITS_PER_PAGE = 4
_VISITS_AT_LEAST = 16
# What may be left out without being told as a failure: somebody asked for it.
_LEFT = {"robots_disallowed": "robots_disallowed", "captcha": "captcha"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    url: str
    depth: int
    parent: str | None = None


@dataclass(slots=True)
class _State:
    """What a crawl knows so far."""

    home: str
    waiting: deque[_Wanted] = field(default_factory=deque)
    seen: set[str] = field(default_factory=set)
    pages: list[Page] = field(default_factory=list)
    copies: dict[bytes, str] = field(default_factory=dict)
    failures: list[RowFailure] = field(default_factory=list)
    named: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The first page kept that names an address, and the text of its link."""
    late_assets: list[tuple[str, str]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    untold: int = 0
    size: int = 0


async def crawl(
    seed: str, rules: CrawlRules, outbound: OutboundSettings, settings: WebSettings, *, pixels: int
) -> Crawled:
    """Return the pages of a site, from one of its addresses on.

    Args:
        seed: where to begin.
        rules: how far to go, and how.
        outbound: which networks and ports are open.
        settings: limits.
        pixels: larger pictures are not decoded.

    Raises:
        WebFault: the first page could not be had, or a pattern cannot be used.
    """
    home = normalized(seed)
    if home is None:
        raise WebFault("bad_url", f"{without_secrets(seed)!r} is no http(s) address that can be crawled.")
    visitor = Visitor(outbound, connections=settings.connections)
    browser = Browser(
        visitor,
        rules,
        home=home,
        pause_seconds=settings.pause_seconds,
        deadline=time.monotonic() + rules.timeout_seconds,
    )
    try:
        state = _State(home, deque([_Wanted(url=home, depth=0)]), {identity(home)})
        await _walk(state, browser, rules, settings)
        pages = _with_assets(state)
        missing: list[RowFailure] = []
        if rules.wants_images:
            room = settings.crawl_bytes - state.size
            pages, missing = await with_pictures(pages, browser, settings, pixels=pixels, room_bytes=room)
        return Crawled(pages=pages, failures=_told(state, missing), dropped=dict(state.dropped))
    finally:
        await visitor.close()


async def _walk(state: _State, browser: Browser, rules: CrawlRules, settings: WebSettings) -> None:
    visits, most = 0, rules.max_pages * _VISITS_PER_PAGE + _VISITS_AT_LEAST
    while state.waiting:
        reason = _enough(state, browser, rules, settings, has_visits=visits < most)
        if reason is not None:
            state.dropped[reason] += len(state.waiting)
            return
        at_once = 1 if await browser.is_slow(state.waiting[0].url) else settings.connections
        group = [state.waiting.popleft() for _ in range(min(at_once, most - visits, len(state.waiting)) or 1)]
        visits += len(group)
        answers = await asyncio.gather(*(_visited(wanted, state, browser, settings) for wanted in group))
        for place, (wanted, answer) in enumerate(zip(group, answers, strict=True)):
            if len(state.pages) >= rules.max_pages:
                # Fetched beside the last page, for speed: as if it had never been.
                state.waiting.extendleft(reversed(group[place:]))
                break
            if isinstance(answer, WebFault) and answer.is_passing and wanted.parent and browser.left_seconds <= 0:
                state.dropped["crawl_timeout"] += 1
                continue
            _taken(state, rules, wanted, answer, settings)


def _enough(
    state: _State, browser: Browser, rules: CrawlRules, settings: WebSettings, *, has_visits: bool
) -> str | None:
    """Return why no further page is fetched."""
    if len(state.pages) >= rules.max_pages:
        return "max_pages_cap"
    if browser.left_seconds <= 0:
        return "crawl_timeout"
    if state.size >= settings.crawl_bytes:
        return "crawl_bytes_cap"
    return None if has_visits else "visits_cap"


async def _visited(
    wanted: _Wanted, state: _State, browser: Browser, settings: WebSettings
) -> Answer | WebFault | OffSite:
    try:
        # Where the first page leads is the site: example.com may well be www.example.org.
        site = None if wanted.parent is None else state.home
        return await browser.visit(wanted.url, most_bytes=settings.page_bytes, site=site)
    except (WebFault, OffSite) as error:
        return error


def _taken(
    state: _State, rules: CrawlRules, wanted: _Wanted, answer: Answer | WebFault | OffSite, settings: WebSettings
) -> None:
    """Add what came of a visit."""
    is_first = wanted.parent is None
    try:
        if isinstance(answer, WebFault):
            raise answer
        if isinstance(answer, OffSite):
            return
        if not is_first and identity(answer.url) != identity(wanted.url):
            if identity(answer.url) in state.seen:
                return
            state.seen.add(identity(answer.url))
        if is_first:
            state.home = answer.url
            state.seen.add(identity(answer.url))
        _read(state, rules, wanted, answer, settings)
    except WebFault as fault:
        if is_first:
            raise
        _failed(state, fault, wanted.url)


def _read(state: _State, rules: CrawlRules, wanted: _Wanted, answer: Answer, settings: WebSettings) -> None:
    is_first = wanted.parent is None
    if not is_page(answer.content_type or _guessed(answer.body)):
        if is_first:
            kind = answer.content_type or "bytes without a type"
            raise WebFault("not_html", f"{answer.url[:_SHOWN_CHARS]} is {kind}, not a page. Upload the file itself.")
        state.late_assets.append((identity(wanted.url), answer.url))
        return
    if answer.is_cut:
        raise WebFault("page_too_large", f"It has more than {settings.page_bytes} bytes (PRISMHOUSE_WEB__PAGE_BYTES).")
    read = parse(decoded(answer.body, answer.charset), answer.url, robots_header=answer.robots_header)
    if read.is_followed:
        _follow(state, rules, wanted, answer.url, read)
    if not read.is_indexed:
        if is_first and not state.waiting:
            raise WebFault("noindex", f"{answer.url[:_SHOWN_CHARS]} asks not to be kept (robots: noindex).")
        state.dropped["noindex"] += 1
        return
    if read.is_empty:
        if not is_first or state.waiting:
            _failed(state, _empty(answer.url, read), wanted.url)
            return
        raise _empty(answer.url, read)
    _keep(state, wanted, answer.url, read)


def _keep(state: _State, wanted: _Wanted, url: str, read: Parsed) -> None:
    digest = hashlib.sha256(f"{read.title}\x00{read.content}".encode()).digest()
    other = state.copies.get(digest)
    if other is not None and read.canonical is not None and identity(read.canonical) != identity(url):
        state.dropped["copies"] += 1
        return
    state.copies.setdefault(digest, url)
    state.size += len(read.content)
    state.pages.append(
        Page(
            url=url,
            title=read.title,
            content=read.content,
            depth=wanted.depth,
            parent=wanted.parent,
            code_blocks=read.code_blocks,
            images=read.images,
            assets=read.assets,
            left_out=read.left_out,
        )
    )
    for link in read.links:
        if (known := identity(link.url)) in state.seen:
            state.named.setdefault(known, (url, link.text))


def _follow(state: _State, rules: CrawlRules, wanted: _Wanted, url: str, read: Parsed) -> None:
    if wanted.depth >= rules.max_depth:
        return
    if read.left_links:
        state.dropped["links_cap"] += read.left_links
    for link in read.links:
        if identity(link.url) in state.seen or not rules.follows(link.url, state.home):
            continue
        if len(state.waiting) >= _MOST_WAITING:
            state.dropped["links_cap"] += 1
            continue
        state.seen.add(identity(link.url))
        state.waiting.append(_Wanted(url=link.url, depth=wanted.depth + 1, parent=url))


def _failed(state: _State, fault: WebFault, url: str) -> None:
    if fault.code in _LEFT:
        state.dropped[_LEFT[fault.code]] += 1
        return
    if len(state.failures) >= _MOST_TOLD:
        state.untold += 1
        return
    message = fault.message if url in fault.message else f"{url[:_SHOWN_CHARS]}: {fault.message}"
    # Tried as often as max_retries says: the whole site is not crawled again for one page.
    state.failures.append(RowFailure(stage="fetch", code=fault.code, message=message, error_type=ErrorType.PERMANENT))


def _empty(url: str, read: Parsed) -> WebFault:
    shown = url[:_SHOWN_CHARS]
    if read.has_scripts:
        message = f"{shown} has no text of its own; scripts would write it, and no browser runs them here."
        return WebFault("needs_javascript", message)
    return WebFault("no_content", f"{shown} has no text and no pictures.")


def _with_assets(state: _State) -> list[Page]:
    """Return the pages with the files that turned out to be none when they were fetched.

    A file goes with the first page kept that names it. One that only pages name that are not kept is left with them, as
    files are whose name tells what they are.
    """
    late: dict[str, list[Asset]] = {}
    for known, url in state.late_assets:
        if known in state.named:
            page, text = state.named[known]
            late.setdefault(page, []).append(Asset(offset=0, url=url, text=text))
    return [replace(page, assets=[*page.assets, *late[page.url]]) if page.url in late else page for page in state.pages]


def _told(state: _State, missing: list[RowFailure]) -> list[RowFailure]:
    told = [*state.failures]
    if state.untold:
        message = f"{state.untold} further pages could not be had."
        told.append(
            RowFailure(stage="fetch", code="more_pages_failed", message=message, error_type=ErrorType.PERMANENT)
        )
    if len(missing) > _MOST_TOLD:
        rest = missing[_MOST_TOLD]
        more = f"{len(missing) - _MOST_TOLD} further pictures could not be had."
        missing = [
            *missing[:_MOST_TOLD],
            RowFailure(
                stage="fetch",
                code="more_images_failed",
                message=more,
                error_type=rest.error_type,
                missing_feature=rest.missing_feature,
            ),
        ]
    return told + missing


def _guessed(body: bytes) -> str:
    head = body[:512].lstrip().lower()
    return (
        "text/html" if head.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<!--", b"<h", b"<p")) else ""
    )

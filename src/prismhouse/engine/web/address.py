"""Addresses of pages: one spelling for each, and which ones mean the same page or the same site."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import parse_qsl, quote, urljoin, urlsplit, urlunsplit

__all__ = ["host_of", "identity", "is_asset", "joined", "normalized", "origin_of", "same_site"]

_LONGEST = 2000
_LONGEST_HOST = 253
_PORTS = {"http": 80, "https": 443}
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})?")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_PATH_SAFE = "/%:@!$&'()*+,;=~"
_QUERY_SAFE = "/%:@!$&'()*+,;=~?"
_TRACKING = re.compile(r"^(?:utm_\w+|fbclid|gclid|dclid|msclkid|mc_cid|mc_eid|yclid|_ga)$", re.IGNORECASE)
_ASSETS_NAMES = (
    "7z aac apk avi bin bmp bz2 css csv dmg doc docx eot epub exe flac gif gz ico ics jar jpeg jpg js json m4a m4v mkv"
    " mov mp3 mp4 mpeg mpg msi odp ods odt ogg ogv otf pdf png ppt pptx psd rar rpm rss rtf svg swf tar tgz tif tiff"
    " ttf wasm wav webm webp whl wmv woff woff2 xls xlsx xml xz zip zst"
)
_ASSETS = frozenset(_ASSETS_NAMES.split())


def normalized(url: str) -> str | None:
    """Return the one spelling of an http(s) address, without its fragment; None for what is not fetched.

    Normalizing twice changes nothing.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    host = _host(parts.hostname or "")
    if scheme not in _PORTS or not host or parts.username is not None or parts.password is not None:
        return None
    netloc = host if port in (None, _PORTS[scheme]) else f"{host}:{port}"
    path = _without_dots(_escaped(parts.path, _PATH_SAFE)) or "/"
    whole = urlunsplit((scheme, netloc, path, _escaped(parts.query, _QUERY_SAFE), ""))
    return whole if len(whole) <= _LONGEST else None


def joined(base: str, link: str) -> str | None:
    """Return the spelling of a link on a page at `base`; None for what is not fetched."""
    try:
        return normalized(urljoin(base, link.strip()))
    except ValueError:
        return None


def identity(url: str) -> str:
    """Return what addresses of one page share, given normalized ones.

    The scheme, a slash at the end, the order of the query, and what is added to follow people around make no
    difference.
    """
    parts = urlsplit(url)
    pairs = sorted(pair for pair in parse_qsl(parts.query, keep_blank_values=True) if not _TRACKING.match(pair[0]))
    return (
        f"//{parts.netloc}{parts.path.rstrip('/') or '/'}?{pairs!r}"
        if pairs
        else f"//{parts.netloc}" + (parts.path.rstrip("/") or "/")
    )


def host_of(url: str) -> str:
    """Return host and port, without the `www.` that sites answer with or without."""
    return urlsplit(url).netloc.removeprefix("www.")


def origin_of(url: str) -> str:
    """Return scheme, host and port: what headers and robots.txt are for."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def same_site(url: str, other: str) -> bool:
    """Whether both are of one host; a subdomain is another."""
    return host_of(url) == host_of(other)


def is_asset(url: str) -> bool:
    """Whether the name says that it is a file (a PDF, a picture, an archive), not a page."""
    return posixpath.splitext(urlsplit(url).path)[1][1:].lower() in _ASSETS


def _host(name: str) -> str | None:
    name = name.rstrip(".").lower()
    if not name or len(name) > _LONGEST_HOST:
        return None
    if ":" in name:
        return f"[{name}]"
    try:
        host = name.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return None
    return host if re.fullmatch(r"[a-z0-9._-]+", host) else None


def _escaped(text: str, safe: str) -> str:
    """Escape what must be, spell escapes in capitals, and undo those that mean nothing."""
    return quote(_ESCAPE.sub(_spelled, text), safe=safe, errors="replace")


def _spelled(match: re.Match[str]) -> str:
    if match[1] is None:
        return "%25"
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else f"%{match[1].upper()}"


def _without_dots(path: str) -> str:
    """Return the path without `.` and `..` (RFC 3986, 5.2.4)."""
    kept: list[str] = []
    segments = path.split("/")
    for place, segment in enumerate(segments):
        last = place == len(segments) - 1
        if segment == "..":
            if len(kept) > 1:
                kept.pop()
            if last:
                kept.append("")
        elif segment == ".":
            if last:
                kept.append("")
        else:
            kept.append(segment)
    whole = "/".join(kept)
    return whole if not whole or whole.startswith("/") else f"/{whole}"

"""Sites of pages and photos: each is made as one file, and a server on this machine gives out what is in it."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bench.setting import Setting
from bench.texts import texts

__all__ = ["PAGES", "packed", "served"]

PAGES = 12
_WORDS = 220
_KINDS = {".html": "text/html; charset=utf-8", ".jpg": "image/jpeg"}


def packed(seed: int, number: int, photos: list[bytes]) -> bytes:
    """Return a site: a page for each photo, which links to all others, with a menu, two parts, code and a footer."""
    words = texts(2 * len(photos), seed=seed * 10_000 + number, median_words=_WORDS // 2, sigma=0.1)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as site:
        for page, photo in enumerate(photos):
            site.writestr(f"{page}.html", _page(page, len(photos), words[2 * page : 2 * page + 2]))
            site.writestr(f"{page}.jpg", photo)
    return buffer.getvalue()


@contextmanager
def served(folder: Path) -> Iterator[Setting]:
    """Serve the sites that are packed in files of a folder, each below its path, and open the way to them."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body in one packet, as servers send them: else each answer waits for an acknowledgement.
        wbufsize = -1

        def do_GET(self) -> None:
            site, _, name = self.path.lstrip("/").rpartition("/")
            path = folder / site
            body = _unpacked(path).get(name) if site and path.is_file() else None
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Type", _KINDS.get(Path(name).suffix, "text/plain"))
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")
            self.wfile.flush()

        def log_message(self, *_: object) -> None:
            """Say nothing: it is measured."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Setting(
            environment={
                "PRISMHOUSE_OUTBOUND__ALLOW_NETWORKS": json.dumps(["127.0.0.0/8"]),
                "PRISMHOUSE_OUTBOUND__ALLOW_PORTS": json.dumps([port]),
            },
            given=lambda path: f"http://127.0.0.1:{port}/{path.relative_to(folder)}/0.html",
        )
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@lru_cache(maxsize=64)
def _unpacked(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as site:
        return {name: site.read(name) for name in site.namelist()}


def _page(number: int, count: int, words: list[str]) -> str:
    menu = "".join(f'<li><a href="{other}.html">Part {other}</a></li>' for other in range(count))
    parts = "".join(f"<h2>Section {place}</h2><p>{escape(text)}</p>" for place, text in enumerate(words, 1))
    return (
        f"<!doctype html><html><head><title>Part {number}</title><meta charset='utf-8'></head><body>"
        f"<header><a href='0.html'>Home</a></header><nav><ul>{menu}</ul></nav>"
        f"<main><h1>Part {number}</h1><img src='{number}.jpg' alt='photo {number}'>{parts}"
        f"<pre><code class='language-python'>print({number})</code></pre></main>"
        "<footer><p>Made for a measurement. <a href='0.html'>Back to the first part</a></p></footer></body></html>"
    )

"""Who is told of what happened: a reader of the change feed, and a receiver of webhooks."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.fault.rounds.client import Client

__all__ = ["FeedReader", "Receiver"]

_PAUSE_SECONDS = 0.2


class FeedReader:
    """Reads the feed of a namespace on and on, from where it was; nothing may be missing, and nothing told twice."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._cursor: str | None = None
        self.seen: list[int] = []

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read while the block runs."""
        stopped = threading.Event()

        def read() -> None:
            while not stopped.wait(_PAUSE_SECONDS):
                self._read_once()

        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()

    def finish(self) -> list[int]:
        """Read to the end and return the places of all events that were seen."""
        while self._read_once() is not False:
            continue
        return self.seen

    def _read_once(self) -> bool | None:
        """Return whether more is there; None when nobody answered."""
        query = f"?namespace_id={self._client.api.namespace}&limit=20"
        if self._cursor:
            query += f"&cursor={self._cursor}"
        known = self._client.ask("GET", f"/v1/events{query}")
        if known is None:
            return None
        assert known[0] == 200, known
        self.seen += [event["seq"] for event in known[1]["results"]]
        self._cursor = known[1]["next_cursor"]
        return bool(known[1]["has_more"])


class Receiver:
    """A web server that notes the events that it is told of, in the order in which they arrive."""

    def __init__(self) -> None:
        self.told: list[str] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                receiver.told.append(self.headers["webhook-id"])
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self._web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._web.serve_forever)
        self._thread.start()

    def subscribe(self, client: Client) -> None:
        """Have every event of the organization sent here."""
        configs = {"url": f"http://127.0.0.1:{self._web.server_port}/", "timeout": 1}
        body = {
            "webhook_name": "all",
            "event_types": ["*"],
            "channels": [{"channel": "webhook", "configs": configs}],
        }
        status, answer = client.ask("POST", "/v1/organizations/webhooks", body) or (None, {})
        assert status == 200, json.dumps(answer)

    def stop(self) -> None:
        """Close it."""
        self._web.shutdown()
        self._thread.join()
        self._web.server_close()

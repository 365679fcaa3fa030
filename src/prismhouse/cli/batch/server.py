"""The running server as a command sees it: its address, a key, and calls that end in an answer or a reason."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx2

from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.settings import Settings

__all__ = ["Event", "NoKey", "NotFound", "Refused", "Server", "Unreachable"]

_TIMEOUT = httpx2.Timeout(30, connect=5)
# A stream that is silent for longer than three heartbeats has lost its server.
_STREAM_TIMEOUT = httpx2.Timeout(50, connect=5)
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where it listens, not where we do
_NO_CONTENT = 204


class NoKey(WarehouseError):
    """There is no API key: PRISMHOUSE_API_KEY is not set, and {file} cannot be read."""

    code = Code.UNAUTHORIZED
    hint = "Name the server's data folder with --data, or set PRISMHOUSE_API_KEY."


class Unreachable(WarehouseError):
    """{url} does not answer ({reason})."""

    code = Code.UNAVAILABLE
    hint = "Start it with `prismhouse serve`, or name its address with --url."


class Refused(WarehouseError):
    """The server answered {status}: {reason}"""

    code = Code.BAD_REQUEST
    hint = "Check --url, --namespace and the API key."


class NotFound(Refused):
    """{reason}"""

    code = Code.NOT_FOUND
    hint = "`prismhouse batch list` shows what there is."


class UnknownKey(Refused):
    """The server at {url} does not know this API key."""

    code = Code.UNAUTHORIZED
    hint = "Name the data folder of that server with --data, set PRISMHOUSE_API_KEY, or name another server with --url."


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event of a stream."""

    name: str
    event_id: str
    data: Mapping[str, Any]


class Server:
    """Calls in one namespace, which may be chosen later."""

    def __init__(self, url: str, key: str, *, namespace: str | None = None) -> None:
        self.url = url
        self.namespace = namespace
        self._http = httpx2.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=_TIMEOUT, trust_env=False
        )

    @classmethod
    def of(cls, settings: Settings, *, url: str | None, namespace: str | None) -> Self:
        """Return the server that the settings describe; raise NoKey."""
        named = url or os.environ.get("PRISMHOUSE_URL") or settings.server.public_url
        host = _EVERYWHERE.get(settings.server.host, settings.server.host)
        shown = f"[{host}]" if ":" in host else host
        at = (named or f"http://{shown}:{settings.server.port}").rstrip("/").removesuffix("/v1")
        if "://" not in at:
            at = f"http://{at}"
        try:
            return cls(at, _key(settings), namespace=namespace)
        except httpx2.InvalidURL as error:
            raise Unreachable(url=at, reason="it is not a URL") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Return the answer of a GET; raise Unreachable, NotFound or Refused."""
        return self._call("GET", path, params=query)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer of a POST; raise as `get`."""
        return self._call("POST", path, json=dict(body))

    def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer of a PATCH; raise as `get`."""
        return self._call("PATCH", path, json=dict(body))

    def delete(self, path: str) -> None:
        """Delete what the path names; raise as `get`."""
        self._call("DELETE", path)

    def namespaces(self) -> list[str]:
        """Return the namespaces that the key opens."""
        return [str(row["namespace_id"]) for row in self.get("/v1/namespaces", limit=1000)["results"]]

    def find_batch(self, batch_id: str) -> dict[str, Any]:
        """Return a batch, and go into its namespace if none was named; raise as `get`."""
        if self.namespace is not None:
            return self.get(_path(batch_id))
        for namespace in self.namespaces():
            self.namespace = namespace
            try:
                return self.get(_path(batch_id))
            except NotFound:
                self.namespace = None
        raise NotFound(status=404, reason=f"No batch {batch_id} in any namespace that this key opens.")

    def events(self, batch_id: str, *, last: str | None) -> Iterator[Event]:
        """Yield what happened to a batch after the event `last`, until the stream ends; raise as `get`."""
        headers = {**self._headers(), b"Accept": b"text/event-stream"}
        if last is not None:
            headers[b"Last-Event-ID"] = last.encode()
        try:
            with self._http.stream("GET", _path(batch_id), headers=headers, timeout=_STREAM_TIMEOUT) as answer:
                if not answer.is_success:
                    answer.read()
                    raise _refusal(answer)
                yield from _events(answer.iter_lines())
        except httpx2.HTTPError as error:
            raise Unreachable(url=self.url, reason=_reason(error)) from error

    def _call(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        try:
            answer = self._http.request(method, path, headers=self._headers(), **content)
        except httpx2.HTTPError as error:
            raise Unreachable(url=self.url, reason=_reason(error)) from error
        if not answer.is_success:
            raise _refusal(answer)
        found: dict[str, Any] = {} if answer.status_code == _NO_CONTENT else answer.json()
        return found

    def _headers(self) -> dict[bytes, bytes]:
        return {b"X-Namespace": self.namespace.encode()} if self.namespace else {}


def _path(batch_id: str) -> str:
    return f"/v1/batches/{quote(batch_id, safe='')}"


def _key(settings: Settings) -> str:
    if key := os.environ.get("PRISMHOUSE_API_KEY"):
        return key
    file = settings.data_dir / "api-key"
    try:
        return file.read_text().strip()
    except OSError as error:
        if settings.bootstrap_api_key is not None:
            return settings.bootstrap_api_key.get_secret_value()
        raise NoKey(file=file) from error


def _events(lines: Iterator[str]) -> Iterator[Event]:
    fields: dict[str, str] = {}
    for line in lines:
        name, _, text = line.partition(": ")
        if name:
            fields[name] = text
        elif "data" in fields:
            yield Event(name=fields.get("event", ""), event_id=fields.get("id", ""), data=json.loads(fields["data"]))
            fields = {}


def _refusal(answer: httpx2.Response) -> WarehouseError:
    try:
        reason = str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        reason = "an answer that is not of this product"
    url = str(answer.request.url.copy_with(raw_path=b"/")).rstrip("/")
    if answer.status_code in {503, 429}:
        return Unreachable(url=url, reason=reason)
    if answer.status_code == Code.UNAUTHORIZED.status:
        return UnknownKey(url=url)
    kind = NotFound if answer.status_code == Code.NOT_FOUND.status else Refused
    return kind(status=answer.status_code, reason=reason)


def _reason(error: httpx2.HTTPError) -> str:
    if isinstance(error, httpx2.TimeoutException):
        return "no answer in time"
    return re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__

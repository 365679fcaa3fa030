"""POST with bounds: of time, bytes, tries and requests at once. One loop in a thread serves a whole process."""

from __future__ import annotations

import asyncio
import re
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, TypeVar

import httpx2
import orjson

from prismhouse.engine.inference.endpoints.errors import EndpointBusy, EndpointRefused, EndpointWrong
from prismhouse.engine.inference.endpoints.place import Place

__all__ = ["Client", "Clock"]

T = TypeVar("T")
R = TypeVar("R")

_SHOWN_CHARACTERS = 300
_ERROR_BYTES = 64 << 10
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 20.0
_DOWN_SECONDS = 5.0
"""After an input was given up on, for so long others fail at once: each would wait as long as it did."""

_NOT_FINITE = re.compile(rb"[:\[,]\s*-?(?:NaN|Infinity)\b")
_starting = threading.Lock()
_PASSING = frozenset({408, 409, 425, 429})
_OF_THE_WHOLE = frozenset({401, 402, 403, 404, 405, 407, 410, 426, 451})


class Clock:
    """Time and pauses, so that tests need not wait."""

    def now(self) -> float:
        """Return seconds that only grow."""
        return time.monotonic()

    async def pause(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class _Key(httpx2.Auth):
    """Adds the key as a request leaves. It stands in no variable that a traceback could show."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        if self._place.api_key_env is not None:
            request.headers["Authorization"] = f"Bearer {self._place.key()}"
        yield request


class Client:
    """Asks one model. Its methods are called from any thread, none of which runs an event loop."""

    def __init__(self, place: Place, clock: Clock | None = None) -> None:
        self.place = place
        self._clock = clock or Clock()
        self._http: httpx2.AsyncClient | None = None
        self._slots: asyncio.Semaphore | None = None
        self._down_until = float("-inf")
        self._slow = 0

    def each(self, ask: Callable[[T], Awaitable[R]], items: Sequence[T]) -> list[R]:
        """Return what `ask` makes of each item, in order, some at once. Raises the first error."""

        async def all_of_them() -> list[R]:
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(_awaited(ask(item))) for item in items]
            except BaseExceptionGroup as several:
                raise several.exceptions[0] from None
            return [task.result() for task in tasks]

        return _wait(all_of_them())

    async def post(self, path: str, body: Mapping[str, Any], *, answer_bytes: int) -> Any:
        """Return the parsed answer of `url` + `path`.

        Raises:
            EndpointBusy: no answer that can be used, after all attempts; or another input has just had none.
            EndpointRefused: the server finds fault with the input.
            EndpointWrong: the server, or its table, is not as it should be.
        """
        self._check_key()
        try:
            content = orjson.dumps(body)
        except TypeError as error:  # a schema of a user's that is nested too deep
            raise EndpointRefused(model=self.place.name, reason=f"it cannot be sent as JSON ({error})") from None
        for attempt in range(1, self.place.attempts + 1):
            try:
                answer = await self._once(path, content, answer_bytes)
            except _Passing as passing:
                pause = passing.after or _FIRST_PAUSE_SECONDS * 2 ** (attempt - 1)
                self._note(passing, is_last=attempt == self.place.attempts)
                if attempt == self.place.attempts or pause > _LONGEST_PAUSE_SECONDS:
                    reason = f"{passing} ({attempt} of {self.place.attempts} attempts)"
                    raise self._busy(reason, passing.status) from None
                await self._clock.pause(pause)
            else:
                self._slow, self._down_until = 0, float("-inf")
                return answer
        raise AssertionError("there is one attempt at least")

    def _note(self, passing: _Passing, *, is_last: bool) -> None:
        """Take the server for down when it leaves requests without an answer: who waits for a turn fails at once."""
        self._slow += passing.is_slow
        if (is_last and passing.status is None) or self._slow >= self.place.attempts:
            self._slow, self._down_until = 0, self._clock.now() + _DOWN_SECONDS

    def close(self) -> None:
        """Close idle connections."""
        if self._http is not None:
            _wait(self._http.aclose())
            self._http = None

    def wrong(self, reason: str) -> EndpointWrong:
        """Return the error of an answer that is not what was asked for."""
        return EndpointWrong(model=self.place.name, reason=reason)

    def _busy(self, reason: str, status: int | None = None) -> EndpointBusy:
        return EndpointBusy(model=self.place.name, reason=reason, status=status)

    def _check_key(self) -> None:
        try:
            key = self.place.key()
        except KeyError:
            raise self.wrong(
                f"its api_key_env names {self.place.api_key_env}, which is not set in the environment of this process"
            ) from None
        if key is not None and not (key and key.isascii() and key.isprintable() and " " not in key):
            raise self.wrong(f"{self.place.api_key_env} does not hold a key: it is empty, or has spaces in it")

    async def _once(self, path: str, content: bytes, limit: int) -> Any:
        """Return the answer to one request; raise _Passing for what may pass."""
        http, slots = self._open()
        async with slots:
            if self._clock.now() < self._down_until:
                raise self._busy("it did not answer others a moment ago")
            try:
                async with asyncio.timeout(self.place.timeout_seconds):
                    return await self._exchange(http, path, content, limit)
            except (TimeoutError, httpx2.TimeoutException):
                raise _Passing(f"no answer within {self.place.timeout_seconds:g} s", is_slow=True) from None
            except httpx2.ConnectError:
                raise _Passing("no connection") from None
            except httpx2.RemoteProtocolError:
                raise _Passing("the connection broke, or the answer was not whole") from None
            except (httpx2.HTTPError, OSError) as error:
                raise _Passing(f"the connection failed ({type(error).__name__})") from None

    async def _exchange(self, http: httpx2.AsyncClient, path: str, content: bytes, limit: int) -> Any:
        async with http.stream("POST", f"{self.place.url}{path}", content=content) as answer:
            status = answer.status_code
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise self.wrong("its answer is compressed, which was not asked for")
            if status != 200:
                raise self._not_ok(answer, await _beginning(answer))
            return self._parsed(answer, await self._whole(answer, limit))

    async def _whole(self, answer: httpx2.Response, limit: int) -> bytes:
        parts, size = [], 0
        async for part in answer.aiter_raw():
            parts.append(part)
            size += len(part)
            if size > limit:
                raise self.wrong(f"its answer has more than {limit} bytes")
        return b"".join(parts)

    def _parsed(self, answer: httpx2.Response, body: bytes) -> Any:
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind == "text/html" or body.lstrip()[:1] == b"<":
                raise self.wrong("it answers with a web page, not with JSON; see whether the url ends in /v1") from None
            if _NOT_FINITE.search(body):
                raise self.wrong("its answer holds numbers that are not finite") from None
            raise self.wrong("its answer is not JSON") from None

    def _not_ok(self, answer: httpx2.Response, body: bytes) -> Exception:
        status = answer.status_code
        if 300 <= status < 400:
            return self.wrong(f"it redirects ({status}), and redirects are not followed; set the url it leads to")
        if status in (401, 403):
            # What servers say of a key may repeat it.
            named = self.place.api_key_env
            key = f"the key in {named} is not accepted" if named else "it wants a key; set api_key_env"
            return EndpointWrong(model=self.place.name, reason=f"{status}, {key}", status=status)
        said = self._said(body)
        if status in _PASSING or status >= 500:
            return _Passing(f"it answers {status}{said}", after=_retry_after(answer), status=status)
        if status in _OF_THE_WHOLE or status < 300:
            return EndpointWrong(model=self.place.name, reason=f"it answers {status}{said}", status=status)
        return EndpointRefused(model=self.place.name, reason=f"it answers {status}{said}", status=status)

    def _said(self, body: bytes) -> str:
        """Return the server's own message, shortened, and without the key."""
        try:
            told = orjson.loads(body)
        except orjson.JSONDecodeError:
            return ""
        if isinstance(told, dict):
            told = told.get("error", told.get("message", told.get("detail")))
        if isinstance(told, dict):
            told = told.get("message")
        if not isinstance(told, str):
            return ""
        if key := self.place.key():
            told = told.replace(key, "...")
        text = " ".join("".join(one if one.isprintable() else " " for one in told).split()).rstrip(".")
        return f': "{text[:_SHOWN_CHARACTERS]}{"..." if len(text) > _SHOWN_CHARACTERS else ""}"' if text else ""

    def _open(self) -> tuple[httpx2.AsyncClient, asyncio.Semaphore]:
        if self._http is None or self._slots is None:
            place = self.place
            self._slots = asyncio.Semaphore(place.concurrency)
            self._http = httpx2.AsyncClient(
                auth=_Key(place),
                headers={
                    "Accept": "application/json",
                    "Accept-Encoding": "identity",
                    "Content-Type": "application/json",
                    "User-Agent": "prismhouse",
                },
                timeout=httpx2.Timeout(place.timeout_seconds, connect=place.connect_seconds),
                limits=httpx2.Limits(max_connections=place.concurrency, keepalive_expiry=15),
                follow_redirects=False,
                trust_env=False,
            )
            weakref.finalize(self, _close, self._http).atexit = False
        return self._http, self._slots


class _Passing(Exception):
    """This attempt failed; another one may not. `after` is what the server asked for, in seconds."""

    def __init__(
        self, reason: str, *, after: float | None = None, status: int | None = None, is_slow: bool = False
    ) -> None:
        super().__init__(reason)
        self.after = after
        self.status = status
        self.is_slow = is_slow


async def _beginning(answer: httpx2.Response) -> bytes:
    body = b""
    async for part in answer.aiter_raw():
        body += part
        if len(body) > _ERROR_BYTES:
            break
    return body[:_ERROR_BYTES]


def _retry_after(answer: httpx2.Response) -> float | None:
    """Return the seconds that the server wants to be left alone, given as a number or as a date."""
    given = answer.headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", given):
        return float(given)
    try:
        return max(0.0, parsedate_to_datetime(given).timestamp() - time.time()) if given else None
    except (ValueError, TypeError, OverflowError):
        return None


async def _awaited(wanted: Awaitable[R]) -> R:
    return await wanted


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """Return the loop of this process, in which connections live on between calls."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="endpoints", daemon=True).start()
    return loop


def _close(http: httpx2.AsyncClient) -> None:
    """Close the connections of a client that nobody has any more, in the loop that they belong to."""
    asyncio.run_coroutine_threadsafe(http.aclose(), _loop())


def _wait(work: Coroutine[Any, Any, R]) -> R:
    with _starting:  # two threads that ask first at the same time would get a loop each
        loop = _loop()
    return asyncio.run_coroutine_threadsafe(work, loop).result()

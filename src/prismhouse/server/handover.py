"""The line between the supervisor and a child: settings and database go down it, `ready` comes back.

It is the child's standard input, a socket pair: secrets stand neither in arguments nor in the environment, and
each side notices at once when the other is gone.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass

import orjson
from pydantic import SecretStr

from prismhouse.server import lifeline
from prismhouse.settings import Settings

__all__ = ["Handover", "Line"]

_READY = b"ready\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """What a child needs to begin. `listener` is an inherited descriptor; `first` does what is done once per start."""

    settings: Settings
    dsn: str
    listener: int | None = None
    first: bool = False

    def encode(self) -> bytes:
        """Return one line of JSON, with secrets in clear: for the line alone."""
        content = {
            "settings": self.settings.model_dump(mode="python", exclude_unset=True),
            "dsn": self.dsn,
            "listener": self.listener,
            "first": self.first,
        }
        return orjson.dumps(content, default=_plain) + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Handover:
        """Return what `encode` was given."""
        content = orjson.loads(line)
        return cls(**{**content, "settings": Settings(**content["settings"])})


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


class Line:
    """The child's end of the line."""

    def __init__(self) -> None:
        self._socket = socket.socket(fileno=sys.stdin.fileno())

    def receive(self) -> Handover | None:
        """Wait for the handover; None when the supervisor ended before it came."""
        with self._socket.makefile("rb") as reader:
            line = reader.readline()
        return Handover.decode(line) if line.endswith(b"\n") else None

    def say_ready(self) -> None:
        """Tell the supervisor that this process works; a supervisor that is gone is noticed by `watch`."""
        try:
            self._socket.sendall(_READY)
        except OSError:
            return

    def watch(self, on_end: Callable[[], object]) -> None:
        """Call `on_end` in the running event loop, once, when the supervisor is gone."""
        lifeline.release()
        loop = asyncio.get_running_loop()

        def look() -> None:
            try:
                alive = self._socket.recv(64)
            except OSError:
                alive = b""
            if not alive:
                loop.remove_reader(self._socket)
                on_end()

        loop.add_reader(self._socket, look)

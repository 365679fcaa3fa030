"""Names to addresses, in threads of its own: name servers of strangers may take as long as they like."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

__all__ = ["Resolver"]

_THREADS = 32


class Resolver:
    """Resolves host names. A name that is slow holds one thread, however many ask for it, and none of the process."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._asked: dict[tuple[str, int], asyncio.Future[list[str]]] = {}

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host; raise OSError or UnicodeError where it has none."""
        asked = self._asked.get((host, port))
        if asked is None or asked.get_loop() is not asyncio.get_running_loop():
            if self._threads is None:
                self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="resolve")
            asked = asyncio.get_running_loop().run_in_executor(self._threads, _resolved, host, port)
            self._asked[host, port] = asked
            asked.add_done_callback(lambda done: self._forget(host, port, done))
        # Who gives up takes the answer from nobody else.
        return await asyncio.shield(asked)

    def _forget(self, host: str, port: int, done: asyncio.Future[list[str]]) -> None:
        if self._asked.get((host, port)) is done:
            del self._asked[host, port]
        if not done.cancelled():
            done.exception()  # seen, even where nobody waits for it any more


def _resolved(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))

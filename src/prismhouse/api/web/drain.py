"""The rest of a body that is refused: a client that is still sending does not read the answer."""

from __future__ import annotations

import anyio
from starlette.datastructures import Headers
from starlette.types import Receive

__all__ = ["DRAINED_BYTES", "drain"]

DRAINED_BYTES = 256 * 2**20
_DRAIN_SECONDS = 20


async def drain(headers: Headers, receive: Receive, *, begun: bool = False) -> None:
    """Read and forget the rest of a body, so that its sender comes to read the answer; bounded in bytes and time.

    `begun` says that some of it was asked for, so a sender that waits for our word has had it.
    """
    if not begun and headers.get("expect", "").lower() == "100-continue":
        return  # the sender waits for our word and has sent nothing
    forgotten = 0
    with anyio.move_on_after(_DRAIN_SECONDS):
        while forgotten < DRAINED_BYTES:
            message = await receive()
            forgotten += len(message.get("body", b""))
            if not message.get("more_body", False):
                return

"""A child that is still starting ends with its supervisor: it would hold the port against the next server.

Light to import, since it begins before everything else is; a child that runs watches its line itself (handover.py).
"""

from __future__ import annotations

import os
import socket
import sys
import threading

__all__ = ["hold", "release"]

_LOOK_SECONDS = 0.25
_released = threading.Event()


def hold() -> None:
    """End this process as soon as the other end of its standard input is gone, until `release` is called."""
    threading.Thread(target=_end_with_supervisor, daemon=True).start()


def release() -> None:
    """Leave the line to whoever watches it now."""
    _released.set()


def _end_with_supervisor() -> None:
    with socket.socket(fileno=os.dup(sys.stdin.fileno())) as line:
        while not _released.wait(_LOOK_SECONDS):
            try:
                alive = line.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except BlockingIOError:
                continue
            except OSError:
                alive = b""
            if not alive and not _released.is_set():
                os._exit(1)

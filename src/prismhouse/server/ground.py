"""What everything stands on: a folder that can be written to, and an address to listen on."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
import time
from pathlib import Path

from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["DataFolderUnusable", "PortTaken", "listen", "make_folder"]

_BACKLOG = 2048
_PAUSE_SECONDS = 0.05


class PortTaken(WarehouseError):
    """Cannot listen on {host}:{port}: {reason}."""

    code = Code.CONFLICT
    hint = "Stop what listens there, or choose another address with --host and --port."


class DataFolderUnusable(WarehouseError):
    """The data folder {folder} cannot be used: {reason}."""

    code = Code.CONFLICT
    hint = "Choose a folder that this user may write to, with --data or PRISMHOUSE_DATA_DIR."


def make_folder(folder: Path) -> None:
    """Make the data folder unless it is there, and see that it can be written to; raise DataFolderUnusable."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise DataFolderUnusable(folder=folder, reason=reason.lower()) from error


def listen(host: str, port: int, *, patience_seconds: float = 3) -> socket.socket:
    """Return a socket that listens; raise PortTaken.

    A taken port is waited for a little: children of a server that was killed give it back when they notice.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            return socket.create_server((host, port), family=family, backlog=_BACKLOG)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
                raise PortTaken(host=host, port=port, reason=reason.lower()) from error
        time.sleep(_PAUSE_SECONDS)

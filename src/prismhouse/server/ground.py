"""What everything stands on: a folder that can be written to, and an address to listen on."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["DataFolderUnusable", "PortTaken", "listen", "make_folder"]

_BACKLOG = 2048


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


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; raise PortTaken."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise PortTaken(host=host, port=port, reason=reason.lower()) from error

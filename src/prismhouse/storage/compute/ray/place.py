"""Where a Ray cluster is, and whether something listens there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["RayAddressRefused", "check_address", "host_and_port", "silence"]

_PATIENCE_SECONDS = 1.5
_LONGEST_NOTE_BYTES = 1024


class RayAddressRefused(WarehouseError):
    """PRISMHOUSE_COMPUTE__RAY_ADDRESS is {address}: {reason}."""

    code = Code.BAD_REQUEST
    hint = "Write `host:port` of the head, or `auto` for the cluster that this machine is a node of."


def check_address(address: str | None) -> None:
    """Raise RayAddressRefused for an address that no driver can join."""
    if address is None or address == "auto":
        return
    if "://" in address:
        raise RayAddressRefused(address=address, reason="Ray clients are not taken, this machine must be a node")
    if _split(address) is None:
        raise RayAddressRefused(address=address, reason="that is no host and port")


def host_and_port(address: str, environment: Mapping[str, str] = os.environ) -> tuple[str, int] | None:
    """Return where the head of a cluster should listen; None when this machine knows of none."""
    if address == "auto":
        address = environment.get("RAY_ADDRESS") or _noted(environment)
    return _split(address)


async def silence(address: str) -> str | None:
    """Return why nobody answers at the address of a cluster, or None."""
    place = await asyncio.to_thread(host_and_port, address)
    if place is None:
        return "no Ray cluster is known on this machine; `ray start --address=HEAD:6379` makes it a node"
    host, port = place
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return f"the Ray cluster at {host}:{port} does not answer"
    except OSError as error:
        return f"the Ray cluster at {host}:{port} does not answer ({error.strerror or type(error).__name__})"
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return None


def _noted(environment: Mapping[str, str]) -> str:
    """Ray notes in its folder which cluster this machine was last a node of."""
    note = Path(environment.get("RAY_TMPDIR") or "/tmp") / "ray" / "ray_current_cluster"  # noqa: S108 - Ray's own place
    try:
        with note.open() as file:
            return file.read(_LONGEST_NOTE_BYTES).strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _split(address: str) -> tuple[str, int] | None:
    host, _, port = address.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        return None
    return host.strip("[]"), int(port)

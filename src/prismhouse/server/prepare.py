"""What has to be true before the first request: the newest schema, an organization, a first key."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import psycopg
import structlog

from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.server.wiring import House
from prismhouse.storage.postgres.migrate import migrate

__all__ = ["DatabaseUnreachable", "first_key", "prepare_database", "tell_of_files"]

_PATIENCE_SECONDS = 30.0
_PAUSE_SECONDS = 0.5

_log = structlog.get_logger(__name__)


class DatabaseUnreachable(WarehouseError):
    """The database did not answer for {seconds} s: {reason}"""

    code = Code.UNAVAILABLE
    hint = "Check PRISMHOUSE_DATABASE__URL, and that the server runs and accepts this user."


def prepare_database(dsn: str, *, patience_seconds: float = _PATIENCE_SECONDS) -> list[str]:
    """Bring the schema up to date and return the migrations that ran; wait for a database that is starting."""
    deadline, told = time.monotonic() + patience_seconds, False
    while True:
        try:
            return migrate(dsn)
        except psycopg.OperationalError as error:
            reason = " ".join(str(error).split())
            if time.monotonic() > deadline:
                raise DatabaseUnreachable(seconds=int(patience_seconds), reason=f"{reason}.") from error
            if not told:
                _log.warning("waiting for the database", reason=reason, patience_seconds=patience_seconds)
                told = True
            time.sleep(_PAUSE_SECONDS)


async def tell_of_files(house: House) -> None:
    """Log why files cannot be stored now. Not the end: storage may be starting too, and some work needs no files."""
    if fault := await house.blobs.fault():
        _log.warning("files cannot be stored now; GET /v1/health tells when they can", reason=fault)


async def first_key(house: House) -> None:
    """Make the organization and its first key, once; show the key and keep it in the data folder.

    A key given in PRISMHOUSE_BOOTSTRAP_API_KEY is neither shown nor written by us: whoever set it has it.
    """
    given = house.settings.bootstrap_api_key
    key = await house.organizations.bootstrap(given.get_secret_value() if given else None)
    if key is None or given:
        return
    file = house.settings.data_dir / "api-key"
    await asyncio.to_thread(_keep, file, key)
    print(f"First start. Your API key, shown only now and kept in {file}:\n  {key}", flush=True)  # noqa: T201


def _keep(file: Path, key: str) -> None:
    """Write the key where only this user can read it; whole or not at all, and on disk before it is shown."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(f"{key}\n")
        opened.flush()
        os.fsync(opened.fileno())
    draft.replace(file)

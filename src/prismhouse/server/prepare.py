"""What has to be true before the first request: the newest schema, an organization, a first key."""

from __future__ import annotations

import time

import psycopg

from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.server.wiring import House
from prismhouse.storage.postgres.migrate import migrate

__all__ = ["DatabaseUnreachable", "first_key", "prepare_database"]

_PATIENCE_SECONDS = 30.0
_PAUSE_SECONDS = 0.5


class DatabaseUnreachable(WarehouseError):
    """The database did not answer for {seconds} s: {reason}"""

    code = Code.UNAVAILABLE
    hint = "Check PRISMHOUSE_DATABASE__URL, and that the server runs and accepts this user."


def prepare_database(dsn: str, *, patience_seconds: float = _PATIENCE_SECONDS) -> list[str]:
    """Bring the schema up to date and return the migrations that ran; wait for a database that is starting."""
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            return migrate(dsn)
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                reason = f"{str(error).strip()}."
                raise DatabaseUnreachable(seconds=int(patience_seconds), reason=reason) from error
            time.sleep(_PAUSE_SECONDS)


async def first_key(house: House) -> None:
    """Make the organization and its first key, once; show the key and keep it in the data folder."""
    _ = house

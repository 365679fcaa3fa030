"""The database of a command: by URL, or the embedded server, which is started briefly unless it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.settings import Settings

__all__ = ["NoDatabase", "database"]


class NoDatabase(WarehouseError):
    """There is no database in {folder}."""

    code = Code.NOT_FOUND
    hint = "Name the data folder with --data, or start the server once: `prismhouse serve`."


@contextmanager
def database(settings: Settings, *, make: bool = False) -> Iterator[str]:
    """Give a DSN for as long as the block lasts; `make` allows a database that does not exist yet."""
    if settings.database.url is not None:
        yield settings.database.url.get_secret_value()
        return
    from prismhouse.storage.postgres.embedded import EmbeddedPostgres, running_dsn

    folder = settings.data_dir / "postgres"
    if dsn := running_dsn(folder):
        yield dsn
        return
    if not make and not (folder / "cluster").exists():
        raise NoDatabase(folder=settings.data_dir)
    with EmbeddedPostgres(folder, shared_buffers_mb=settings.database.shared_buffers_mb) as server:
        yield server.dsn

"""A PostgreSQL of our own in the data folder: no installation, no port, no password. Read server.py next."""

from prismhouse.storage.postgres.embedded.server import EmbeddedPostgres, EmbeddedPostgresFailed, running_dsn

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresFailed", "running_dsn"]

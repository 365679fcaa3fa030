"""The whole application over a fresh database, with two organizations."""

from tests.opened import app, house, opened

__all__ = ["app", "house", "opened"]

"""The whole application over a fresh database, with two organizations."""

from tests.opened import app, house, opened
from tests.shelf import shelf

__all__ = ["app", "house", "opened", "shelf"]

"""The whole application, with a collection to put documents into."""

from tests.opened import app, house, opened
from tests.shelf import shelf

__all__ = ["app", "house", "opened", "shelf"]

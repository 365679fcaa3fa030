"""Fixtures of integration tests."""

from tests.documents import house

__all__ = ["house"]

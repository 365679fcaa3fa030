"""The one way a demo fails: with a sentence that says what happened and what to do."""

from __future__ import annotations

__all__ = ["DemoFailed"]


class DemoFailed(Exception):
    """A step did not do what it should."""

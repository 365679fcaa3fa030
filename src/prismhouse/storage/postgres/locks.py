"""Numbers of the advisory locks that hold for a whole database: in one place, so that no two are the same."""

from __future__ import annotations

from enum import IntEnum, unique

__all__ = ["Lock"]


@unique
class Lock(IntEnum):
    """What the holder is doing, alone."""

    MIGRATE = 7_270_001
    BUILD_INDEXES = 7_270_002
    BOOTSTRAP = 7_270_003
    ANNOTATE = 7_270_004
    SUBMIT = 7_270_005

"""Deleting staged files that nothing needs any more."""

from __future__ import annotations

import structlog

from prismhouse.kit.errors import WarehouseError
from prismhouse.storage.blobs.staging import Staging

__all__ = ["discarded"]

_log = structlog.get_logger(__name__)


async def discarded(staging: Staging, key: str) -> bool:
    """Delete a file; return False, and leave it to the next sweep, when storage does not answer."""
    try:
        await staging.discard(key)
    except (WarehouseError, OSError) as error:
        _log.warning("a staged file is left to the next sweep", key=key, exc_info=error)
        return False
    return True

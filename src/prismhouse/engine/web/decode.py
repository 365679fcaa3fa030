"""The files of pictures become pictures, no larger than they are looked at."""

from __future__ import annotations

from prismhouse.engine.extractors.port import ErrorType, RowFailure
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.image import Picture, decode_image

__all__ = ["SIDE", "picture_failure", "read_picture", "unseen"]

SIDE = 448
"""Pixels: models look at less."""

_LEAST_SIDE = 32


def read_picture(data: bytes, pixels: int) -> Picture | None:
    """Return a picture; None for what is too small to show anything.

    Raises MediaFault: there is none in it, or one of more than so many pixels.
    """
    picture = decode_image(data, max_pixels=pixels, draft_side=SIDE)
    return picture if min(picture.width, picture.height) >= _LEAST_SIDE else None


def unseen(url: str, fault: MediaFault) -> RowFailure:
    """Return what is told of a picture that cannot be decoded."""
    return picture_failure(fault.code, f"{url}: {fault.message}")


def picture_failure(code: str, message: str) -> RowFailure:
    """Return what is told of a picture that is not looked at."""
    kind = ErrorType.PERMANENT
    return RowFailure(stage="fetch", code=code, message=message, error_type=kind, missing_feature="image_embedding")

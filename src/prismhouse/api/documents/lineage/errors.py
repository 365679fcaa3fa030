"""What can go wrong with a scene's download."""

from __future__ import annotations

from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["NotAScene", "VideoUnsupported"]


class NotAScene(WarehouseError):
    """Document {id} is no scene of a video: it has no `start_time` and `end_time` beside a video file."""

    code = Code.INVALID
    hint = "GET the document with return_presigned_urls=true for links to its files."


class VideoUnsupported(WarehouseError):
    """Document {id} is a scene, and this server cannot cut videos: the package `av` is not used by this version."""

    code = Code.NOT_IMPLEMENTED
    hint = "GET the document with return_presigned_urls=true and play its file from `start_time` to `end_time`."

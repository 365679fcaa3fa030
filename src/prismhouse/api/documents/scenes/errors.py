"""What can go wrong with a scene's download."""

from __future__ import annotations

from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["CuttingBusy", "NotAScene", "SceneTimedOut", "SceneUncut", "VideoElsewhere", "VideoPackageMissing"]


class NotAScene(WarehouseError):
    """Document {id} is no scene of a video: it has no `start_time` before an `end_time` beside a video file."""

    code = Code.INVALID
    hint = "GET the document with return_presigned_urls=true for links to its files."


class VideoElsewhere(WarehouseError):
    """The video of document {id} is not stored here, so no scene can be cut from it."""

    code = Code.INVALID
    hint = "Upload the video as an object, and have the collection process it again."


class SceneUncut(WarehouseError):
    """The scene of document {id} cannot be cut: {reason}"""

    code = Code.INVALID
    hint = "The video itself is a file of its object; play it from `start_time` to `end_time`."
    wire_code = "scene_uncut"


class SceneTimedOut(WarehouseError):
    """Cutting the scene of document {id} took longer than {timeout_seconds:g} s and was stopped."""

    code = Code.UNAVAILABLE
    hint = "Raise PRISMHOUSE_MEDIA__CUT_SECONDS, or make the scene shorter."


class CuttingBusy(WarehouseError):
    """{waiting} scenes wait to be cut, and no more are taken on."""

    code = Code.TOO_MANY
    hint = "Ask again in a few seconds. Scenes that were cut before are answered at once."


class VideoPackageMissing(WarehouseError):
    """Cutting videos needs the Python package av, which is not installed."""

    code = Code.NOT_IMPLEMENTED
    hint = 'Run: pip install "prismhouse[media]"'

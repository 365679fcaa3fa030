"""What makes a document a scene, and which of its files is the clip of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prismhouse.api.documents.scenes.errors import NotAScene, VideoElsewhere
from prismhouse.kit import json

__all__ = ["CLIP_FIELD", "Scene", "scene_of"]

CLIP_FIELD = "video_segment_url"
_SOURCE_FIELD = "source_video_url"
_DECIMALS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A part of a stored video, in seconds from its first picture. `clip` is the file that was cut before."""

    document_id: str
    start: float
    end: float
    video_sha256: str
    video_bytes: int | None
    others: Sequence[Mapping[str, Any]]
    clip: Mapping[str, Any] | None

    @property
    def filename(self) -> str:
        """Name of the clip; with the video, it says what was cut."""
        return f"scene-{self.start:.{_DECIMALS}f}-{self.end:.{_DECIMALS}f}.mp4"


def scene_of(row: Mapping[str, Any]) -> Scene:
    """Return the scene that a document's row describes; raise NotAScene or VideoElsewhere.

    A document of an object with several videos has its own one as `source_video_url`, as extractors write it.
    """
    document_id, fields = row["document_id"], json.loads(row["payload"])
    start, end = _seconds(fields.get("start_time")), _seconds(fields.get("end_time"))
    files = json.loads(row["document_blobs"])
    videos = [
        one
        for one in (*files, *json.loads(row["source_blobs"]))
        if one.get("type") == "video" and one.get("role") != "artifact"
    ]
    if start is None or end is None or start >= end or not videos:
        raise NotAScene(id=document_id)
    named = [one for one in videos if one.get("field") == _SOURCE_FIELD]
    stored = next((one for one in named or videos if one.get("checksum")), None)
    if stored is None:
        raise VideoElsewhere(id=document_id)
    scene = Scene(
        document_id=document_id,
        start=start,
        end=end,
        video_sha256=stored["checksum"],
        video_bytes=stored.get("size_bytes"),
        others=[one for one in files if one.get("field") != CLIP_FIELD],
        clip=None,
    )
    clip = next((one for one in files if _is_clip(one, scene)), None)
    return Scene(**{name: getattr(scene, name) for name in Scene.__slots__ if name != "clip"}, clip=clip)


def _is_clip(file: Mapping[str, Any], scene: Scene) -> bool:
    """Whether the file was cut from this video at these times: a document's times may have changed since."""
    if file.get("field") != CLIP_FIELD or not file.get("checksum"):
        return False
    return file.get("source_blob_id") == scene.video_sha256 and file.get("filename") == scene.filename


def _seconds(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    seconds = float(value)
    return seconds if math.isfinite(seconds) and 0 <= seconds < 10**9 else None

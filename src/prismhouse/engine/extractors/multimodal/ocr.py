"""Writing for the multimodal extractors: which pictures are read, and what is done when that fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.losses import without
from prismhouse.engine.extractors.ocr import Spread, merged, read_lines
from prismhouse.engine.extractors.port import FloatArray, RowFailure
from prismhouse.engine.extractors.speech import speech_vector
from prismhouse.kit.errors import WarehouseError

if TYPE_CHECKING:
    from PIL.Image import Image

    from prismhouse.engine.media.film import FilmFrame

__all__ = ["OCR_OUTPUT", "FilmReader", "Written", "read_writing"]

OCR_OUTPUT = "ocr_embedding"
"""Name of the vector of what is read. That of its model is taken by the transcription's."""

_FRAME_SIDE = 1280
"""Pixels of the longer side of a video's picture that is read."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What is written in a picture or a segment, or why that is not known."""

    text: str | None = None
    failure: RowFailure | None = None

    def fields(self) -> dict[str, Any]:
        """Return the fields that tell of it."""
        return {} if self.text is None else {"ocr_text": self.text}

    def vectors(self, resources: Resources, *, wanted: bool) -> dict[str, FloatArray]:
        """Return the vector of it by output name, where it is wanted and something is written."""
        return {OCR_OUTPUT: speech_vector(self.text, resources)} if wanted and self.text else {}


def read_writing(image: Image, resources: Resources) -> Written:
    """Return what is written in a picture. Errors about the house (a model is missing) are raised."""
    try:
        return Written(text="\n".join(read_lines(image, resources)))
    except WarehouseError:
        raise
    except Exception as error:  # noqa: BLE001 - recorded: the document is written without what is written
        return Written(failure=_failed(error))


@dataclass(slots=True)
class FilmReader:
    """Reads some pictures of each segment of a video. They are shown to it in order, and `end` closes a segment."""

    resources: Resources
    wanted: bool = True
    written: dict[int, Written] = field(default_factory=dict)
    failure: RowFailure | None = None
    _spread: Spread = field(init=False)
    _read: int = 0

    def __post_init__(self) -> None:
        """Hold nothing yet."""
        self._spread = Spread(self.resources.media.ocr_segment_frames)

    def take(self, frame: FilmFrame) -> None:
        """Note a picture of the segment that is open."""
        if self.wanted and self.failure is None:
            self._spread.show(lambda: frame.picture(_FRAME_SIDE))

    def end(self, segment: int) -> None:
        """Read the pictures of the segment that ends."""
        if not self.wanted or self.failure is not None:
            return
        chosen = self._spread.chosen()
        most = self.resources.media.ocr_frames
        if chosen and self._read >= most:
            self.failure = _capped(most)
            return
        chosen = chosen[: most - self._read]
        self._read += len(chosen)
        try:
            lines = [read_lines(one, self.resources) for one in chosen]
        except WarehouseError:
            raise
        except Exception as error:  # noqa: BLE001 - recorded: the documents are written without what is written
            self.failure = _failed(error)
        else:
            self.written[segment] = Written(text="\n".join(merged(lines)))


def _failed(error: Exception) -> RowFailure:
    _log.warning("reading failed", exc_info=error)
    message = f"The writing could not be read: {type(error).__name__}: {error}. The log has the trace."
    return _missing("ocr_failed", message)


def _capped(most: int) -> RowFailure:
    message = f"Writing was read in {most} pictures of the video, and not in its later segments."
    return _missing("too_many_ocr_frames", f"{message} Raise PRISMHOUSE_MEDIA__OCR_FRAMES, or make segments longer.")


def _missing(code: str, message: str) -> RowFailure:
    return without("ocr", code, message, stage="ocr")

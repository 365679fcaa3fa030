"""What is told of a row of which some was lost: a file that could be read in part, a feature that documents lack."""

from __future__ import annotations

from prismhouse.engine.extractors.port import ErrorType, RowFailure
from prismhouse.engine.media.film import Film
from prismhouse.engine.media.sound import Sound

__all__ = ["lost", "lost_of_film", "lost_of_sound", "without"]


def lost(code: str, message: str, advice: str = "Upload it again.") -> RowFailure:
    """Return that some of an input could not be read: the batch ends with errors."""
    return RowFailure(stage="decode", code=code, message=f"{message} {advice}", error_type=ErrorType.PERMANENT)


def lost_of_film(film: Film, *, cut_off: bool | None = None) -> list[RowFailure]:
    """Return what of a video could not be read, once it was gone through.

    Args:
        film: the video.
        cut_off: whether it ended too early, where that is known better than by the film.
    """
    told: list[RowFailure] = []
    if film.cut_off if cut_off is None else cut_off:
        told.append(lost("media_cut_off", f"The video ends after {film.end:.1f} s, before its header says."))
    if film.damaged:
        told.append(lost("media_damaged", f"{film.damaged} parts of the video could not be decoded."))
    return told


def lost_of_sound(sound: Sound) -> list[RowFailure]:
    """Return what of a sound could not be read."""
    if not sound.damaged:
        return []
    return [lost("sound_damaged", f"{sound.damaged} parts of the sound could not be decoded.")]


def without(feature: str, code: str, message: str, *, stage: str = "extract") -> RowFailure:
    """Return that documents lack a feature, and why: they are written all the same."""
    return RowFailure(stage=stage, code=code, message=message, error_type=ErrorType.PERMANENT, missing_feature=feature)

"""The sound of a file as one channel of numbers, and where it is silent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from prismhouse.engine.media.container import Media, check_duration, faults_named, seconds_of
from prismhouse.engine.media.errors import MediaFault

__all__ = ["SPEECH_RATE", "Sound", "pauses", "read_sound"]

SPEECH_RATE = 16_000
_FULL = 32_768.0
_MOST_DAMAGED = 1_000
_SAMPLE_BYTES = 2
_WINDOW_SECONDS = 0.02
_QUIETEST = 1e-10
_CUT_WITHIN_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """Samples of one channel, kept in 16 bits: an hour at 16 kHz takes 115 MB.

    Sample 0 is at time 0 of the file, which is its first picture where it has one. `damaged` counts packets that
    could not be decoded.
    """

    kept: npt.NDArray[np.int16]
    rate: int
    damaged: int = 0

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.kept) / self.rate

    def samples(self, start: float = 0.0, end: float | None = None) -> npt.NDArray[np.float32]:
        """Return `(n,)` float32 in [-1, 1] of the samples between two times."""
        last = len(self.kept) if end is None else round(end * self.rate)
        part: npt.NDArray[np.float32] = self.kept[max(0, round(start * self.rate)) : last].astype(np.float32) / _FULL
        return part

    def portions(self, longest: float = 600.0) -> Iterator[tuple[float, npt.NDArray[np.float32]]]:
        """Yield start and samples of at most `longest` seconds, cut where it is quietest in the last half minute."""
        start, most = 0, round(longest * self.rate)
        window, reach = self.rate // 10, round(min(_CUT_WITHIN_SECONDS, longest / 2) * 10)
        while len(self.kept) - start > most:
            first = start + most - reach * window
            near = self.kept[first : first + reach * window].astype(np.float32).reshape(reach, window)
            end = first + int(np.square(near).mean(axis=1).argmin()) * window + window // 2
            yield start / self.rate, self.samples(start / self.rate, end / self.rate)
            start = end
        if len(self.kept) > start:
            yield start / self.rate, self.samples(start / self.rate)


def read_sound(media: Media, *, rate: int = SPEECH_RATE, longest: float | None = None) -> Sound:
    """Return the sound of an open file, mixed to one channel; reads the file to its end, and no picture.

    Args:
        media: the file.
        rate: samples a second.
        longest: seconds after which nothing is read any more; None for all.

    Raises:
        MediaFault: no sound (`no_audio_stream`), none that can be decoded (`media_corrupt`), or too much of it
            (`media_too_long`).
    """
    import av
    from av.error import FFmpegError

    if media.audio is None:
        raise MediaFault("no_audio_stream", "The file holds no sound.")
    resampler_of = partial(av.AudioResampler, format="s16", layout="mono", rate=rate)
    resampler = resampler_of()
    heard = bytearray()  # grows in place: pieces that are put together at the end would take twice the memory
    damaged, lead = 0, 0.0
    with faults_named("audio"):
        for packet in media.container.demux(media.audio):
            try:
                frames = packet.decode()
            except FFmpegError as error:
                damaged += 1
                if isinstance(error, MemoryError) or damaged > _MOST_DAMAGED:
                    raise
                continue
            for frame in frames:
                if not heard and frame.pts is not None:
                    lead = seconds_of(frame.pts, frame.time_base, media.zero)
                try:
                    resampled = resampler.resample(frame)
                except ValueError:  # of another rate or other channels: so a stream may go on, or a damaged packet say
                    resampled, resampler = resampler.resample(None), resampler_of()
                    resampled += resampler.resample(frame)
                for made in resampled:
                    heard += made.to_ndarray().data
                check_duration(len(heard) / _SAMPLE_BYTES / rate, media.limits)
            if longest is not None and lead + len(heard) / _SAMPLE_BYTES / rate >= longest:
                break
        for made in resampler.resample(None) if heard else ():
            heard += made.to_ndarray().data
    if not heard:
        raise MediaFault("media_corrupt", "The file holds no sound that can be decoded. Upload it again.")
    kept = _aligned(np.frombuffer(heard, np.int16), lead, rate)
    return Sound(kept=kept if longest is None else kept[: round(longest * rate)], rate=rate, damaged=damaged)


def pauses(sound: Sound, *, threshold_db: float, shortest: float) -> list[tuple[float, float]]:
    """Return from when to when it is quieter than `threshold_db` (below full level) for at least `shortest` seconds."""
    size = round(_WINDOW_SECONDS * sound.rate)
    count = len(sound.kept) // size
    quiet = np.zeros(count + 2, np.bool_)
    for place in range(count):
        window = sound.kept[place * size : (place + 1) * size].astype(np.float32) / _FULL
        quiet[place + 1] = 10 * np.log10(max(float(np.mean(window**2)), _QUIETEST)) < threshold_db
    edges = np.flatnonzero(quiet[1:] != quiet[:-1]).reshape(-1, 2) * size / sound.rate
    return [(float(start), float(end)) for start, end in edges if end - start >= shortest]


def _aligned(samples: npt.NDArray[np.int16], lead_seconds: float, rate: int) -> npt.NDArray[np.int16]:
    """Return the samples so that the first one is at time 0: players show sound and pictures by one clock."""
    lead = round(lead_seconds * rate)
    if abs(lead_seconds) > 60:  # a clock that starts elsewhere, not sound that starts later
        return samples
    if lead < 0:
        return samples[-lead:]
    return np.concatenate([np.zeros(lead, np.int16), samples]) if lead else samples

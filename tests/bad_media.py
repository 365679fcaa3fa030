"""Files that no extractor can read, each with the code by which its row fails; and good ones beside them."""

from __future__ import annotations

import io
import struct
import wave
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from tests.films import BIKES, BUNNY, film
from tests.pdfs import locked, page_of, report
from tests.photos import photos
from tests.written import jpeg

__all__ = ["bad_files", "good_files"]


@cache
def bad_files() -> Mapping[str, Mapping[str, tuple[bytes, str]]]:
    """Return, by kind of file and what is bad about it, the bytes and the code."""
    with TemporaryDirectory() as folder:
        silent = film(Path(folder) / "silent.mp4").read_bytes()
        sound_alone = film(Path(folder) / "sound.mp4", pictures=False, sound=True).read_bytes()
    photo, paper = jpeg(photos()["coffee"]), report()
    return {
        "image": {
            "empty": (b"", "empty_file"),
            "bomb": (_bomb(60_000, 60_000), "image_too_large"),
            "GIF bomb": (_wide_gif(65_535, 65_535), "image_too_large"),
            "over 100 megapixels": (_flat(10_001, 10_000), "image_too_large"),
            "one pixel": (_flat(1, 1), "image_too_small"),
            "cut off": (photo[: len(photo) // 3], "image_corrupt"),
            "a video called image": (silent, "media_type_mismatch"),
        },
        "pdf": {
            "empty": (b"", "empty_file"),
            "cut off": (paper[:1500], "pdf_corrupt"),
            "encrypted": (locked(), "pdf_encrypted"),
            "huge page": (page_of(b"0 0 1000000 1000000"), "pdf_page_too_large"),
            "a photo called PDF": (photo, "media_type_mismatch"),
        },
        "video": {
            "empty": (b"", "empty_file"),
            "cut off": (BIKES.read_bytes()[:5000], "media_corrupt"),
            "sound without pictures": (sound_alone, "no_video_stream"),
            "text called video": (b"only words, whatever the name says", "media_type_mismatch"),
        },
        "audio": {
            "empty": (b"", "empty_file"),
            "cut off": (BUNNY.read_bytes()[:3000], "media_corrupt"),
            "pictures without sound": (silent, "no_audio_stream"),
            "a header without sound": (_without_samples(), "media_corrupt"),
            "a photo called sound": (photo, "media_type_mismatch"),
        },
        "text": {"a photo called text": (photo, "media_type_mismatch")},
    }


@cache
def good_files() -> Mapping[str, bytes]:
    """Return a good file of each kind."""
    with TemporaryDirectory() as folder:
        seen = film(Path(folder) / "seen.mp4", sound=True).read_bytes()
    return {
        "image": jpeg(photos()["coffee"]),
        "pdf": report(),
        "video": seen,
        "audio": seen,
        "text": b"A good text of some words.",
    }


def _flat(width: int, height: int) -> bytes:
    """Return a PNG of one colour, small whatever its size is."""
    buffer = io.BytesIO()
    Image.MAX_IMAGE_PIXELS = None
    Image.new("1", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


def _wide_gif(width: int, height: int) -> bytes:
    """Return a GIF of a size, with a picture of which hardly anything is there."""
    canvas, place = struct.pack("<HHBBB", width, height, 0x80, 0, 0), struct.pack("<HHHHB", 0, 0, width, height, 0)
    return b"GIF89a" + canvas + bytes(6) + b"," + place + b"\x02\x02\x44\x01\x00;"


def _without_samples() -> bytes:
    """Return a WAV file that is well-formed and holds nothing."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
    return buffer.getvalue()


def _bomb(width: int, height: int) -> bytes:
    """Return a PNG whose header claims a size that its data do not have."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1_000_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")

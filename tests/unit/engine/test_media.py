"""What bytes are taken for, and what a decoder makes of good and bad images."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.image import decode_image, thumbnail
from prismhouse.engine.media.sniff import expect, sniff
from prismhouse.engine.media.text import decode_text, storable


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def picture(mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Image.Image:
    ramp = np.linspace(0, 255, size[0] * size[1], dtype=np.uint8).reshape(size[1], size[0])
    return Image.fromarray(ramp).convert(mode)


def code_of(data: bytes, **limits: int) -> str:
    with pytest.raises(MediaFault) as caught:
        decode_image(data, **limits)
    return caught.value.code


@pytest.mark.parametrize(
    ("data", "mime", "kind"),
    [
        (encoded(picture(), "PNG"), "image/png", "image"),
        (encoded(picture(), "JPEG"), "image/jpeg", "image"),
        (encoded(picture(), "GIF"), "image/gif", "image"),
        (encoded(picture(), "WEBP"), "image/webp", "image"),
        (encoded(picture(), "TIFF"), "image/tiff", "image"),
        (encoded(picture(), "BMP"), "image/bmp", "image"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "application/pdf", "pdf"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "audio/wav", "audio"),
        (b"\xff\xfb\x90\x44\x00\x00", "audio/mpeg", "audio"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00", "video/mp4", "video"),
        (b"\x1aE\xdf\xa3\x01\x00", "video/webm", "video"),
        (b"PK\x03\x04xxxxxl/workbook.xml", sniff(b"PK\x03\x04xl/").mime, "excel"),
        (b"plain words", "text/plain", "text"),
        ("żółw 龜".encode(), "text/plain", "text"),
        ("words".encode("utf-16"), "text/plain", "text"),
        (b"<!DOCTYPE html><p>x", "text/html", "text"),
        (b"\x01\x02\x03\x04binary\x00", "application/octet-stream", "binary"),
        (b"", "application/octet-stream", "binary"),
    ],
)
def test_bytes_are_known_by_content_when_sniffed(data: bytes, mime: str, kind: str) -> None:
    found = sniff(data)

    assert (found.mime, found.kind) == (mime, kind)


@given(st.binary(max_size=300))
def test_sniffing_never_raises_when_bytes_are_arbitrary(data: bytes) -> None:
    assert "/" in sniff(data).mime


def test_message_names_both_kinds_when_types_mismatch() -> None:
    with pytest.raises(MediaFault, match=r"Expected a PDF, got PNG \(image/png\)"):
        expect(encoded(picture(), "PNG"), "pdf")


def test_text_is_read_when_it_has_a_byte_order_mark() -> None:
    assert decode_text("\ufeffwörter".encode()) == "wörter"
    assert decode_text("wörter".encode("utf-16")) == "wörter"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("wörter".encode("latin-1"), "text_encoding"),
        (encoded(picture(), "PNG"), "media_type_mismatch"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00", "media_type_mismatch"),
    ],
)
def test_text_is_refused_rather_than_garbled_when_bytes_are_not_utf8(data: bytes, code: str) -> None:
    with pytest.raises(MediaFault) as caught:
        decode_text(data)

    assert caught.value.code == code


def test_text_keeps_its_length_when_made_storable() -> None:
    assert storable("a\x00b\ud800c😀") == "a\ufffdb\ufffdc😀"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "ICO", "PPM", "TGA", "JPEG2000", "AVIF"])
def test_image_is_rgb_when_decoded_from_any_format(kind: str) -> None:
    data = encoded(picture(size=(48, 32)), kind)
    seen = decode_image(data)

    assert (seen.image.mode, seen.format) == ("RGB", kind)
    assert seen.image.size == (seen.width, seen.height)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "I", "F"])
def test_brightness_is_kept_when_pixels_are_of_another_mode(mode: str) -> None:
    if mode in ("I;16", "I", "F"):
        wide = np.linspace(0, 65_535, 1200).reshape(30, 40)
        kinds = {"I;16": np.uint16, "I": np.int32, "F": np.float32}
        source = Image.fromarray(wide.astype(kinds[mode]))
    else:
        source = picture(mode)

    seen = decode_image(encoded(source, "TIFF"))

    pixels = np.asarray(seen.image, np.float32).mean(axis=2)
    assert pixels[0].mean() < 40
    assert pixels[-1].mean() > 215


def test_transparency_becomes_white_when_decoded() -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))

    assert decode_image(encoded(clear, "PNG")).image.getpixel((3, 3)) == (255, 255, 255)


def test_image_is_upright_when_exif_says_it_is_turned() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6

    seen = decode_image(encoded(picture(size=(40, 20)), "JPEG", exif=exif))

    assert (seen.width, seen.height, seen.image.size) == (20, 40, (20, 40))


def test_first_frame_is_taken_when_gif_is_animated() -> None:
    red, blue = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))

    seen = decode_image(encoded(red, "GIF", save_all=True, append_images=[blue]))

    assert seen.image.getpixel((0, 0)) == (255, 0, 0)


def test_size_told_is_the_true_one_when_jpeg_is_decoded_reduced() -> None:
    seen = decode_image(encoded(picture(size=(1600, 1200)), "JPEG"), draft_side=200)

    assert (seen.width, seen.height) == (1600, 1200)
    assert 200 <= min(seen.image.size) < 1200


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF"])
@pytest.mark.parametrize("part", [0.2, 0.6])
def test_code_says_damaged_when_file_is_cut_off(kind: str, part: float) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8))
    data = encoded(noise, kind)

    assert code_of(data[: int(len(data) * part)]) in ("image_corrupt", "image_unreadable")


@given(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"]), st.data())
def test_only_media_faults_are_raised_when_bytes_are_flipped(kind: str, draws: st.DataObject) -> None:
    data = bytearray(encoded(picture(), kind))
    for _ in range(draws.draw(st.integers(1, 6))):
        data[draws.draw(st.integers(0, len(data) - 1))] = draws.draw(st.integers(0, 255))

    try:
        assert decode_image(bytes(data), max_pixels=1_000_000).image.mode == "RGB"
    except MediaFault as fault:
        assert fault.code in {  # noqa: PT017 - both outcomes are right
            "image_corrupt",
            "image_unreadable",
            "image_too_large",
            "image_too_small",
            "media_type_mismatch",
        }


def test_code_says_too_large_when_a_bomb_declares_more_pixels_than_allowed() -> None:
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    body = b"IDAT" + zlib.compress(b"\x00" * 1000)
    bomb += struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))

    assert code_of(bomb) == "image_too_large"


def test_limit_is_inclusive_when_pixels_are_counted() -> None:
    data = encoded(picture(size=(40, 30)), "PNG")

    assert decode_image(data, max_pixels=1200).width == 40
    assert code_of(data, max_pixels=1199) == "image_too_large"
    assert code_of(data, max_pixels=500) == "image_too_large"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_file"),
        (b"%PDF-1.4", "media_type_mismatch"),
        (b"hello", "media_type_mismatch"),
        (encoded(Image.new("RGB", (1, 1)), "PNG"), "image_too_small"),
        (b"\x89PNG\r\n\x1a\n" + b"\x00" * 40, "image_unreadable"),
    ],
)
def test_code_names_the_cause_when_bytes_are_no_usable_image(data: bytes, code: str) -> None:
    assert code_of(data) == code


def _noted(comment: str) -> dict[str, object]:
    exif = Image.Exif()
    exif[0x010E] = comment
    return {"exif": exif}


def test_a_small_plain_jpeg_is_its_own_thumbnail() -> None:
    file = encoded(picture(size=(400, 300)), "JPEG")

    assert decode_image(file).small == file


@pytest.mark.parametrize(
    "file",
    [
        encoded(picture(size=(400, 300)), "PNG"),
        encoded(picture(size=(641, 300)), "JPEG"),
        encoded(picture(size=(400, 300)), "JPEG", **_noted("at home")),
        encoded(picture(size=(400, 300)), "JPEG", comment=b"at home"),
        encoded(picture(size=(400, 300)), "JPEG", xmp=b"<x:xmpmeta/>"),
        encoded(picture(size=(400, 300)), "JPEG") + b"<script>",
        encoded(picture(size=(400, 300)).convert("CMYK"), "JPEG"),
        encoded(Image.effect_noise((400, 300), 90), "JPEG", quality=100),
    ],
    ids=["PNG", "large", "EXIF", "comment", "XMP", "more behind it", "CMYK", "heavy"],
)
def test_a_file_that_says_more_or_weighs_more_is_not_its_own_thumbnail(file: bytes) -> None:
    assert decode_image(file).small is None


def test_thumbnail_is_a_small_jpeg_when_image_is_large() -> None:
    small = Image.open(io.BytesIO(thumbnail(picture(size=(2000, 500)))))

    assert (small.format, small.size) == ("JPEG", (640, 160))

"""Bytes become an upright RGB image, within limits. GIF and other animations give their first frame."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.sniff import expect, sniff

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["MAX_PIXELS", "Picture", "decode_image", "is_animation", "thumbnail"]

MAX_PIXELS = 100_000_000
_MIN_SIDE = 2
_UNKNOWN = "application/octet-stream"
_THUMBNAIL_SIDE = 640
_THUMBNAIL_QUALITY = 85
_THUMBNAIL_BYTES_PER_PIXEL = 0.5
_PLAIN = frozenset({"APP0", "APP14"})
"""Parts of a JPEG that tell how to draw it; others tell places, cameras and words."""

_NOT_RASTER = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
"""Formats that need another program (EPS starts Ghostscript) or hold no picture."""

_WHITE = (255, 255, 255)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A decoded image: RGB, upright, transparency on white. Width and height are those a viewer sees.

    `small` is its file where that is a thumbnail as it stands: a small JPEG that says nothing else.
    """

    image: Image
    width: int
    height: int
    format: str
    small: bytes | None = None


def decode_image(data: bytes, *, max_pixels: int = MAX_PIXELS, draft_side: int | None = None) -> Picture:
    """Return the picture, or raise MediaFault with a code that says why not.

    Codes: empty_file, media_type_mismatch, image_unreadable, image_corrupt, image_too_large, image_too_small.

    Args:
        data: the file.
        max_pixels: larger images are refused before they are decoded.
        draft_side: a JPEG may be decoded at reduced size, as long as its shorter side keeps this many pixels.
    """
    if not data or sniff(data).mime != _UNKNOWN:  # some formats, such as TGA, have no signature
        expect(data, "image")
    opened = _open(data, max_pixels)
    width, height = opened.size
    _check_size(width, height, max_pixels)
    kind = str(opened.format)
    small = data if _is_thumbnail(opened, data) else None
    try:
        if draft_side is not None and min(width, height) > 2 * draft_side:
            scale = draft_side / min(width, height)
            opened.draft("RGB", (int(width * scale) + 1, int(height * scale) + 1))
        opened.load()
        lying = opened.width > opened.height
        _turn_upright(opened)
        turned = (opened.width > opened.height) != lying
        image = _rgb(opened)
    except MemoryError:
        raise
    except Exception as error:
        # A damaged file makes Pillow's format plugins raise nearly anything.
        message = f"The {kind} image is damaged or cut off ({error}). Upload it again."
        raise MediaFault("image_corrupt", message) from error
    if turned:
        width, height = height, width
    return Picture(image=image, width=width, height=height, format=kind, small=small)


def is_animation(data: bytes) -> bool:
    """Say whether it is a GIF of several pictures."""
    return data[:4] == b"GIF8" and _pictures(data) > 1


def _pictures(data: bytes) -> int:
    from PIL import Image as Images
    from PIL import UnidentifiedImageError

    try:
        with Images.open(io.BytesIO(data), formats=("GIF",)) as opened:
            return int(getattr(opened, "n_frames", 1))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Images.DecompressionBombError):
        return 1


def thumbnail(image: Image) -> bytes:
    """Return a JPEG, quality 85, at most 640 pixels wide and high; smaller images keep their size."""
    from PIL.Image import Resampling

    small, longest = image, max(image.size)
    if longest > _THUMBNAIL_SIDE:
        size = tuple(max(1, round(side * _THUMBNAIL_SIDE / longest)) for side in image.size)
        small = image.resize((size[0], size[1]), Resampling.HAMMING, reducing_gap=2.0)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=_THUMBNAIL_QUALITY)
    return buffer.getvalue()


def _is_thumbnail(opened: Any, data: bytes) -> bool:
    """Whether a file may be shown as it is: coding it again would take as long as decoding it, and make it worse."""
    return (
        opened.format == "JPEG"
        and opened.mode in ("RGB", "L")
        and max(opened.size) <= _THUMBNAIL_SIDE
        and len(data) <= _THUMBNAIL_BYTES_PER_PIXEL * opened.width * opened.height
        and _PLAIN.issuperset(name for name, _ in opened.applist)
        and data.endswith(b"\xff\xd9")
    )


@cache
def _formats() -> tuple[str, ...]:
    from PIL import Image as Images

    Images.init()
    return tuple(name for name in Images.OPEN if name not in _NOT_RASTER)


def _open(data: bytes, max_pixels: int) -> Image:
    from PIL import Image as Images
    from PIL import UnidentifiedImageError

    Images.MAX_IMAGE_PIXELS = max_pixels
    try:
        return Images.open(io.BytesIO(data), formats=_formats())
    except (Images.DecompressionBombError, Images.DecompressionBombWarning) as error:
        size = re.search(r"\d+ pixels", str(error))
        raise MediaFault("image_too_large", _too_large(size[0] if size else str(error), max_pixels)) from error
    except UnidentifiedImageError as error:
        message = "The image's format is not supported or its header is damaged. Convert it to PNG or JPEG."
        raise MediaFault("image_unreadable", message) from error
    except MemoryError:
        raise
    except Exception as error:
        raise MediaFault("image_corrupt", f"The image's header is damaged ({error}). Upload it again.") from error


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise MediaFault("image_too_large", _too_large(f"{width} x {height} pixels", max_pixels))
    if min(width, height) < _MIN_SIDE:
        message = (
            f"The image is {width} x {height} pixels, too small to hold anything. Remove it or upload the original."
        )
        raise MediaFault("image_too_small", message)


def _too_large(what: str, max_pixels: int) -> str:
    return (
        f"The image is too large ({what}); the limit is {max_pixels} pixels. "
        "Scale it down or raise PRISMHOUSE_LIMITS__IMAGE_PIXELS."
    )


def _turn_upright(image: Image) -> None:
    from PIL import ImageOps

    ImageOps.exif_transpose(image, in_place=True)  # a copy of each picture would be a fifth of its decoding


def _rgb(image: Image) -> Image:
    """Return the image as 8-bit RGB, whatever its depth, palette and transparency."""
    from PIL import Image as Images

    if image.mode.startswith("I") or image.mode == "F":
        image = Images.fromarray(_eight_bit(np.asarray(image)))
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        ground = Images.new("RGB", layered.size, _WHITE)
        ground.paste(layered, mask=layered.getchannel("A"))
        return ground
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bit(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return uint8: 16-bit values lose their low byte, wider and real ones are stretched to their own range."""
    if values.dtype == np.uint16 or (values.dtype.kind == "i" and values.min() >= 0 and 255 < values.max() < 2**16):
        return (values.astype(np.uint32) >> 8).astype(np.uint8)
    real = np.nan_to_num(values.astype(np.float64))
    low, high = float(real.min()), float(real.max())
    if low >= 0 and high <= 255 and values.dtype.kind == "i":
        return real.astype(np.uint8)
    return ((real - low) / max(high - low, 1e-12) * 255).astype(np.uint8)

"""Real photos that packages carry: the same for every test, and each read once."""

from __future__ import annotations

import io
from functools import cache

from PIL import Image

__all__ = ["photos", "png"]

_SKIMAGE = ("astronaut", "chelsea", "coffee", "rocket", "motorcycle")


@cache
def photos() -> dict[str, Image.Image]:
    """Return the photos by name, RGB."""
    from skimage import data
    from sklearn.datasets import load_sample_image

    arrays = {name: getattr(data, name)() for name in _SKIMAGE if name != "motorcycle"}
    arrays["motorcycle"] = data.stereo_motorcycle()[0]
    arrays["china"] = load_sample_image("china.jpg")
    arrays["flower"] = load_sample_image("flower.jpg")
    return {name: Image.fromarray(array).convert("RGB") for name, array in arrays.items()}


def png(name: str) -> bytes:
    """Return one photo as a PNG file."""
    buffer = io.BytesIO()
    photos()[name].save(buffer, "PNG")
    return buffer.getvalue()

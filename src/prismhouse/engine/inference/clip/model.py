"""A CLIP or SigLIP: texts by one tower, images by the other, into the same space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from prismhouse.engine.extractors.port import FloatArray
from prismhouse.engine.inference.entry import ModelEntry
from prismhouse.engine.inference.errors import DeviceUnusable, ModelUnfit
from prismhouse.engine.inference.graph import fixed_length, fixed_rows, run_rows
from prismhouse.engine.inference.port import TextVectors
from prismhouse.engine.inference.session import open_session, require
from prismhouse.engine.inference.tokens import GROUP_TEXTS, Tokens, batches, padded
from prismhouse.engine.inference.weights import read_verified, verified

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["JointModel", "load"]

_BATCH_IMAGES = 4
_LONGEST = 77
_TEXT_OUTPUTS = ("text_embeds", "pooler_output")
_IMAGE_OUTPUTS = ("image_embeds", "pooler_output")
_VECTOR_AXES = 2
_MOST_ASPECT = 16


class _Tower:
    """One session, its inputs by name, and its output with a vector for each row."""

    def __init__(self, name: str, session: Any, *, accepted: Sequence[str], outputs: Sequence[str]) -> None:
        self._session = session
        self.inputs = {one.name: (one.type, one.shape) for one in session.get_inputs()}
        if unknown := [one for one in self.inputs if one not in accepted]:
            reason = f"its graph asks for {', '.join(unknown)}, and is given {', '.join(accepted)}"
            raise ModelUnfit(model=name, reason=reason)
        made = {one.name: len(one.shape or ()) for one in session.get_outputs()}
        fitting = [one for one in (*outputs, *made) if made.get(one) == _VECTOR_AXES]
        if not fitting:
            raise ModelUnfit(
                model=name, reason=f"its graph gives {', '.join(made)}, none of them a vector for each row"
            )
        self._output = fitting[0]
        self._name = name
        self.rows = fixed_rows(session)

    def __call__(self, given: Mapping[str, Any], dimensions: int) -> FloatArray:
        kinds = {"tensor(int32)": np.int32, "tensor(int64)": np.int64, "tensor(float16)": np.float16}
        fed = {one: given[one].astype(kinds.get(kind, given[one].dtype)) for one, (kind, _) in self.inputs.items()}
        made = run_rows(self._session, self._output, fed)
        if made.shape[1] != dimensions:
            reason = f"its graph gives {made.shape[1]} dimensions, and its folder says {dimensions}"
            raise ModelUnfit(model=self._name, reason=f"{reason}. Set dimensions")
        unit: FloatArray = made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-12)
        return unit


class JointModel:
    """A loaded model. Safe to call from several threads."""

    def __init__(self, entry: ModelEntry, text: Any, vision: Any, tokens: Tokens) -> None:
        self.dimensions = entry.dimensions
        self._options = entry.options
        self._tokens = tokens
        accepted = ("input_ids", "attention_mask", "position_ids")
        self._text = _Tower(entry.name, text, accepted=accepted, outputs=_TEXT_OUTPUTS)
        self._vision = _Tower(entry.name, vision, accepted=("pixel_values",), outputs=_IMAGE_OUTPUTS)
        self._length = fixed_length(text) or (entry.max_tokens if entry.options["fixed_length"] else None)
        _check_sides(entry, self._vision.inputs["pixel_values"][1])

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return `(n, d)` float32, rows of unit length, in the order of the texts."""
        return self.embed_texts(texts).vectors

    def embed_texts(self, texts: Sequence[str]) -> TextVectors:
        """Return vectors and, for each text, whether its end was not read."""
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        truncated = np.zeros(len(texts), np.bool_)
        for start in range(0, len(texts), GROUP_TEXTS):
            encoded = [self._tokens.encode(text.strip()) for text in texts[start : start + GROUP_TEXTS]]
            truncated[start : start + len(encoded)] = [cut for _, cut in encoded]
            for batch in batches([self._length or len(ids) for ids, _ in encoded], rows=self._text.rows):
                rows = [encoded[place][0] for place in batch]
                vectors[[start + place for place in batch]] = self._read(rows)
        return TextVectors(vectors=vectors, truncated=truncated)

    def embed_queries(self, texts: Sequence[str]) -> FloatArray:
        """Return `(n, d)` float32 of queries for images, written as the file of models says."""
        prompt = self._options["query_prompt"]
        return self.embed([f"{prompt}{text}" for text in texts])

    def embed_images(self, images: Sequence[Image]) -> FloatArray:
        """Return `(n, d)` float32 of RGB images, rows of unit length."""
        vectors = np.zeros((len(images), self.dimensions), np.float32)
        step = self._vision.rows or _BATCH_IMAGES
        for start in range(0, len(images), step):
            pixels = np.stack([_pixels(image, self._options["picture"]) for image in images[start : start + step]])
            vectors[start : start + step] = self._vision({"pixel_values": pixels}, self.dimensions)
        return vectors

    def _read(self, rows: Sequence[list[int]]) -> FloatArray:
        batch = padded(rows, self._options["padding"], length=self._length)
        places = np.broadcast_to(np.arange(batch.tokens.shape[1]), batch.tokens.shape)
        given = {"input_ids": batch.tokens, "attention_mask": batch.mask, "position_ids": places}
        return self._text(given, self.dimensions)


def _check_sides(entry: ModelEntry, shape: Sequence[Any]) -> None:
    """Raise ModelUnfit where the graph was exported for pictures of another size than its folder says."""
    made = entry.options["picture"]["crop"] or entry.options["picture"]["size"]
    taken = [side for side in shape[2:] if isinstance(side, int)]
    if made and len(taken) == len(made) and taken != list(made):
        reason = (
            f"its graph takes pictures of {taken[1]} x {taken[0]} pixels, and its folder says {made[1]} x {made[0]}"
        )
        raise ModelUnfit(model=entry.name, reason=reason)


def _pixels(image: Image, how: Mapping[str, Any]) -> FloatArray:
    """Return `(3, height, width)` float32, as the processor of the model makes it."""
    from PIL.Image import Resampling

    if how["crop"]:
        image = _near_middle(image)
    width, height = image.size
    if how["shortest"]:
        ratio = how["shortest"] / min(width, height)
        width, height = max(how["shortest"], int(width * ratio)), max(how["shortest"], int(height * ratio))
    else:
        height, width = how["size"]
    image = image.resize((width, height), Resampling(how["resample"]))
    if how["crop"]:
        high, wide = how["crop"]
        left, top = (width - wide) // 2, (height - high) // 2
        image = image.crop((left, top, left + wide, top + high))
    pixels = np.asarray(image, np.float32) * np.float32(how["scale"])
    scaled = (pixels - np.asarray(how["mean"], np.float32)) / np.asarray(how["std"], np.float32)
    ready: FloatArray = scaled.astype(np.float32).transpose(2, 0, 1)
    return ready


def _near_middle(image: Image) -> Image:
    """Return a picture without what lies far from its middle, and would be cut off once it was enlarged.

    One of 2 x 50,000,000 pixels, whose shorter side is to have 224 of them, would take terabytes first.
    """
    most = min(image.size) * _MOST_ASPECT
    if max(image.size) <= most:
        return image
    left, top = (max(0, side - most) // 2 for side in image.size)
    return image.crop((left, top, min(left + most, image.width), min(top + most, image.height)))


def load(entry: ModelEntry, threads: int, cache_dir: Path) -> JointModel:  # noqa: ARG001 - the loader's signature
    """Return the model; raise ExtraMissing, ModelFileGone, ModelFileChanged or ModelUnfit."""
    require(entry.imports, extra=entry.extra, needed_for=entry.title)
    tokenizer = read_verified(entry.files["tokenizer"], entry.name)
    graphs = {role: verified(file, entry.name) for role, file in entry.files.items() if role != "tokenizer"}
    try:
        text, vision = (open_session(graphs[role], threads) for role in ("text", "vision"))
        longest = entry.max_tokens or _LONGEST
        tokens = Tokens(tokenizer, min(longest, fixed_length(text) or longest))
    except DeviceUnusable:
        raise
    except Exception as error:
        # Whatever onnxruntime and tokenizers raise is about these files.
        raise ModelUnfit(model=entry.name, reason=f"{type(error).__name__}: {error}") from error
    return JointModel(entry, text, vision, tokens)

"""`kind = "clip"`: a folder of a CLIP or SigLIP with ONNX towers, laid out as optimum and transformers.js do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from prismhouse.engine.inference.entry import ModelEntry
from prismhouse.engine.inference.folder import read_json, told_length
from prismhouse.engine.inference.kind import Table, WrongKey, fingerprint_of
from prismhouse.engine.inference.weights import FolderFile, file_in_folder

__all__ = ["Clip"]

_MIB = 2**20
_TEXT, _VISION = "onnx/text_model.onnx", "onnx/vision_model.onnx"
_LENGTHS = {"clip": 77, "siglip": 64, "siglip2": 64}
_USUAL_LENGTH = 77
_LARGEST_LENGTH = 32_768
_RESAMPLING = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3}


class Clip(Table):
    """A CLIP or SigLIP in a folder."""

    kind: Literal["clip"] = "clip"
    path: str = Field(min_length=1)
    text_file: str = Field(_TEXT, pattern=r"^[^/\\][^\\]*\.onnx$")
    vision_file: str = Field(_VISION, pattern=r"^[^/\\][^\\]*\.onnx$")
    dimensions: int | None = Field(None, ge=1, le=16_000)
    max_tokens: int | None = Field(None, ge=4, le=_LARGEST_LENGTH)
    query_prompt: str = ""

    def entry(self, name: str, base: Path) -> ModelEntry:
        """See `Table.entry`."""
        folder = base / Path(self.path).expanduser()
        if not folder.is_dir():
            raise WrongKey("path", f"{folder} is no folder")
        config = _config(folder)
        family = str(config.get("model_type", "clip"))
        told_tokens = (config.get("text_config") or {}).get("max_position_embeddings")
        longest = told_length(folder, told_tokens, largest=_LARGEST_LENGTH)
        max_tokens = self.max_tokens or longest or _LENGTHS.get(family, _USUAL_LENGTH)
        options = {
            "family": family,
            "picture": _picture(folder),
            "padding": _padding(folder, config),
            "fixed_length": family.startswith("siglip"),
            "query_prompt": self.query_prompt,
        }
        try:
            files = self._files(folder)
        except OSError as error:
            raise WrongKey("path", f"{error.filename} is missing or cannot be read ({error.strerror})") from error
        told = {**options, "max_tokens": max_tokens}
        return ModelEntry(
            name=name,
            title=self.title or f"Texts and images in one space, of {self.path}",
            task="joint_embedding",
            modalities=("text", "image"),
            licence=self.licence,
            loader="prismhouse.engine.inference.clip.model:load",
            extra="image",
            imports=("onnxruntime", "PIL", "tokenizers"),
            memory_bytes=self.memory_mb * _MIB,
            dimensions=self._dimensions(config),
            max_tokens=max_tokens,
            files=files,
            source="file",
            kind=self.kind,
            options=options,
            fingerprint=fingerprint_of(self.kind, told, files.values()),
        )

    def _files(self, folder: Path) -> dict[str, FolderFile]:
        names = {"text": self.text_file, "vision": self.vision_file, "tokenizer": "tokenizer.json"}
        for role in ("text", "vision"):
            if (folder / f"{names[role]}_data").is_file():
                names[f"{role}_data"] = f"{names[role]}_data"
        return {role: file_in_folder(folder, path) for role, path in names.items()}

    def _dimensions(self, config: Mapping[str, Any]) -> int:
        vision = config.get("vision_config") or {}
        told = config.get("projection_dim") or config.get("embed_dim") or vision.get("hidden_size")
        found = self.dimensions or int(told or 0)
        if not found:
            raise WrongKey("dimensions", "is missing, and config.json has neither projection_dim nor a hidden_size")
        return found


def _config(folder: Path) -> Mapping[str, Any]:
    """Return `config.json`, or what open_clip writes in its place."""
    if (folder / "config.json").is_file() or not (folder / "open_clip_config.json").is_file():
        config: Mapping[str, Any] = read_json(folder / "config.json")
        return config
    told: Mapping[str, Any] = read_json(folder / "open_clip_config.json").get("model_cfg", {})
    length = (told.get("text_cfg") or {}).get("context_length")
    return {"embed_dim": told.get("embed_dim"), "text_config": {"max_position_embeddings": length}}


def _padding(folder: Path, config: Mapping[str, Any]) -> int:
    """Return the token that fills a text up; networks without a mask were trained with it."""
    tokenizer = read_json(folder / "tokenizer.json")
    if (told := tokenizer.get("padding")) and "pad_id" in told:
        return int(told["pad_id"])
    token = read_json(folder / "tokenizer_config.json", needed=False).get("pad_token")
    name = token.get("content") if isinstance(token, dict) else token
    for added in tokenizer.get("added_tokens") or ():
        if added.get("content") == name:
            return int(added["id"])
    return int((config.get("text_config") or {}).get("pad_token_id") or 0)


def _picture(folder: Path) -> dict[str, Any]:
    """Return how a picture is made ready: its size, whether it is cropped, how its colours are scaled."""
    path = folder / "preprocessor_config.json"
    if not path.is_file() and (folder / "open_clip_config.json").is_file():
        return _of_open_clip(read_json(folder / "open_clip_config.json"))
    told = read_json(path)
    size = told.get("size", 224)
    shortest = size.get("shortest_edge") if isinstance(size, dict) else (size if "crop_size" in told else None)
    fitted = None if shortest else _sides(size)
    crop = _sides(told.get("crop_size") or shortest) if shortest or told.get("do_center_crop") else None
    if not shortest and not fitted:
        raise WrongKey("path", f"{path} has a size that is not understood: {size}")
    return {
        "shortest": int(shortest) if shortest else None,
        "size": fitted,
        "crop": crop if told.get("do_center_crop", bool(shortest)) else None,
        "resample": int(told.get("resample", _RESAMPLING["bicubic"])),
        "scale": float(told.get("rescale_factor", 1 / 255)) if told.get("do_rescale", True) else 1.0,
        "mean": told.get("image_mean", [0.5] * 3) if told.get("do_normalize", True) else [0.0] * 3,
        "std": told.get("image_std", [0.5] * 3) if told.get("do_normalize", True) else [1.0] * 3,
    }


def _of_open_clip(config: Mapping[str, Any]) -> dict[str, Any]:
    told = config.get("preprocess_cfg") or {}
    side = int(((config.get("model_cfg") or {}).get("vision_cfg") or {}).get("image_size", 224))
    squashed = told.get("resize_mode") == "squash"
    return {
        "shortest": None if squashed else side,
        "size": [side, side] if squashed else None,
        "crop": None if squashed else [side, side],
        "resample": _RESAMPLING.get(str(told.get("interpolation")), _RESAMPLING["bicubic"]),
        "scale": 1 / 255,
        "mean": told.get("mean", [0.48145466, 0.4578275, 0.40821073]),
        "std": told.get("std", [0.26862954, 0.26130258, 0.27577711]),
    }


def _sides(size: Any) -> list[int] | None:
    """Return height and width."""
    if isinstance(size, dict):
        return [int(size["height"]), int(size["width"])] if {"height", "width"} <= size.keys() else None
    return [int(size), int(size)] if isinstance(size, int) else None

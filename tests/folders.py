"""Folders of models as they come from elsewhere, made of what is here, and files of models that name them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prismhouse.engine.inference.configured import ConfiguredModels, read_models
from prismhouse.engine.inference.registry import MINILM, entry
from prismhouse.engine.inference.weights import verified

PACKAGE = "sentence_transformers.models"


def minilm_folder(folder: Path, *, prompts: Mapping[str, str] | None = None) -> Path:
    """Lay the packaged MiniLM out as sentence-transformers does, with ONNX weights."""
    files = entry(MINILM).files
    (folder / "onnx").mkdir(parents=True)
    (folder / "1_Pooling").mkdir()
    shutil.copy(verified(files["weights"], MINILM), folder / "onnx" / "model.onnx")
    shutil.copy(verified(files["tokenizer"], MINILM), folder / "tokenizer.json")
    write(folder / "config.json", {"model_type": "bert", "hidden_size": 384, "max_position_embeddings": 512})
    write(folder / "sentence_bert_config.json", {"max_seq_length": 256, "do_lower_case": False})
    write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": 384, "pooling_mode_mean_tokens": True})
    write(
        folder / "modules.json",
        [
            {"idx": 0, "name": "0", "path": "", "type": f"{PACKAGE}.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{PACKAGE}.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": f"{PACKAGE}.Normalize"},
        ],
    )
    if prompts is not None:
        write(folder / "config_sentence_transformers.json", {"prompts": dict(prompts)})
    return folder


def write(path: Path, value: Any) -> None:
    """Write a JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def models_file(folder: Path, text: str) -> Path:
    """Write a file of models."""
    path = folder / "models.toml"
    path.write_text(text)
    return path


def models_of(folder: Path, text: str) -> ConfiguredModels:
    """Return what a file of models says."""
    return read_models(models_file(folder, text))

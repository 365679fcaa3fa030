"""The folder layout of sentence-transformers: what its JSON files say of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prismhouse.engine.inference.folder import read_json, told_length
from prismhouse.engine.inference.kind import WrongKey

__all__ = ["DenseLayer", "Layout", "read_layout"]

_POOLINGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "lasttoken",
}
_KNOWN_POOLINGS = frozenset(_POOLINGS.values())
_QUERY_PROMPTS = ("query", "search_query", "s2p_query")
_PASSAGE_PROMPTS = ("passage", "document", "search_document", "corpus")
_ACTIVATIONS = {"Identity": "identity", "Tanh": "tanh", "ReLU": "relu", "GELU": "gelu"}
_LARGEST_LENGTH = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseLayer:
    """A layer behind the pooling; `weights` is its file in the folder of the model."""

    weights: str
    activation: str
    dimensions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What the folder says. `transformer` is where tokenizer and configuration lie, relative to the folder."""

    transformer: str
    dimensions: int
    pooling: tuple[str, ...]
    pools_prompt: bool
    dense: tuple[DenseLayer, ...]
    max_tokens: int | None
    lower_case: bool
    query_prompt: str
    passage_prompt: str


def read_layout(folder: Path) -> Layout:
    """Return what the JSON files of the folder say; raise WrongKey for what cannot be run.

    A folder without `modules.json` is a transformer alone: its tokens are averaged, as sentence-transformers does.
    """
    modules = _modules(folder)
    transformer = next((path for kind, path in modules if kind == "Transformer"), "")
    config = read_json(folder / transformer / "config.json")
    hidden = int(config.get("hidden_size") or config.get("dim") or config.get("d_model") or 0)
    pooling_at = next((path for kind, path in modules if kind == "Pooling"), None)
    pooled = {} if pooling_at is None else read_json(folder / pooling_at / "config.json")
    pooling = _pooling(pooled)
    width = int(pooled.get("word_embedding_dimension") or pooled.get("embedding_dimension") or hidden) * len(pooling)
    dense = tuple(_dense(folder, path) for kind, path in modules if kind == "Dense")
    told = read_json(folder / transformer / "sentence_bert_config.json", needed=False)
    prompts = read_json(folder / "config_sentence_transformers.json", needed=False)
    return Layout(
        transformer=transformer,
        dimensions=dense[-1].dimensions if dense else width,
        pooling=pooling,
        pools_prompt=bool(pooled.get("include_prompt", True)),
        dense=dense,
        # Where no length is set, sentence-transformers takes it from these too.
        max_tokens=told.get("max_seq_length")
        or told_length(folder / transformer, config.get("max_position_embeddings"), largest=_LARGEST_LENGTH),
        lower_case=bool(told.get("do_lower_case", False)),
        query_prompt=_prompt(prompts, _QUERY_PROMPTS),
        passage_prompt=_prompt(prompts, _PASSAGE_PROMPTS),
    )


def _modules(folder: Path) -> list[tuple[str, str]]:
    """Return kind and folder of each module in order; raise WrongKey for one that is not known."""
    listed = read_json(folder / "modules.json", needed=False) or []
    modules = [(str(one["type"]).rpartition(".")[2], str(one.get("path", ""))) for one in listed]
    known = ("Transformer", "Pooling", "Dense", "Normalize")
    if unknown := [kind for kind, _ in modules if kind not in known]:
        raise WrongKey("path", f"modules.json has {unknown[0]}, which cannot be run. Accepted: {', '.join(known)}")
    return modules


def _pooling(config: Mapping[str, Any]) -> tuple[str, ...]:
    given = config.get("pooling_mode")
    if given is not None:
        modes: Sequence[str] = [given] if isinstance(given, str) else given
    else:
        on = [key for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
        modes = [_POOLINGS.get(key, key.removeprefix("pooling_mode_")) for key in on] or ["mean"]
    if unknown := [mode for mode in modes if mode not in _KNOWN_POOLINGS]:
        raise WrongKey(
            "path", f"its pooling {unknown[0]} cannot be run. Accepted: {', '.join(sorted(_KNOWN_POOLINGS))}"
        )
    # The order in which sentence-transformers joins several.
    return tuple(mode for mode in ("cls", "max", "mean", "lasttoken") if mode in modes)


def _dense(folder: Path, path: str) -> DenseLayer:
    config = read_json(folder / path / "config.json")
    activation = str(config.get("activation_function", "Tanh")).rpartition(".")[2]
    if activation not in _ACTIVATIONS:
        raise WrongKey("path", f"{path} has the activation {activation}. Accepted: {', '.join(_ACTIVATIONS)}")
    return DenseLayer(
        weights=str(Path(path) / "model.safetensors"),
        activation=_ACTIVATIONS[activation],
        dimensions=int(config["out_features"]),
    )


def _prompt(config: Mapping[str, Any], names: Sequence[str]) -> str:
    prompts = config.get("prompts") or {}
    fallback = prompts.get(config.get("default_prompt_name")) or ""
    return str(next((prompts[name] for name in names if prompts.get(name)), fallback))

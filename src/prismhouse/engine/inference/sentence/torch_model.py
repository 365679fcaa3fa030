"""A model of sentences from torch weights, in a folder or on the Hugging Face hub; needs the extra `huggingface`.

Code of a model's own is never run (`trust_remote_code` stays off).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from prismhouse.engine.extractors.port import FloatArray
from prismhouse.engine.inference.entry import ModelEntry
from prismhouse.engine.inference.errors import HubUnreachable, ModelUnfit
from prismhouse.engine.inference.port import TextVectors
from prismhouse.engine.inference.registry import device
from prismhouse.engine.inference.session import require
from prismhouse.engine.inference.weights import FolderFile, verified

__all__ = ["TorchModel", "load"]

_BATCH_TEXTS = 8
_TIMEOUT_SECONDS = 10
_making = Lock()
"""While transformers makes a model, it changes torch for the whole process: two at once end up without weights."""


class TorchModel:
    """A loaded model. Safe to call from several threads."""

    def __init__(self, entry: ModelEntry, model: Any) -> None:
        self.dimensions = entry.dimensions
        self._options = entry.options
        self._model = model
        if entry.max_tokens is not None:
            model.max_seq_length = entry.max_tokens

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return `(n, d)` float32 of passages, rows of unit length, in the order of the texts."""
        return self._encode(texts, self._options.get("passage_prompt") or "")

    def embed_texts(self, texts: Sequence[str]) -> TextVectors:
        """Return vectors of passages and, for each, whether its end was not read."""
        prompt, longest = self._options.get("passage_prompt") or "", self._model.max_seq_length
        given = [f"{prompt}{text}" for text in texts]
        lengths = [len(ids) for ids in self._model.tokenizer(given, truncation=False)["input_ids"]] if given else []
        cut = np.array([bool(longest) and length > longest for length in lengths], np.bool_)
        return TextVectors(vectors=self.embed(texts), truncated=cut)

    def embed_queries(self, texts: Sequence[str]) -> FloatArray:
        """Return `(n, d)` float32 of queries, rows of unit length, in the order of the texts."""
        return self._encode(texts, self._options.get("query_prompt") or "")

    def _encode(self, texts: Sequence[str], prompt: str) -> FloatArray:
        if not texts:
            return np.zeros((0, self.dimensions), np.float32)
        made: FloatArray = self._model.encode(
            list(texts),
            prompt=prompt,
            batch_size=_BATCH_TEXTS,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return made.astype(np.float32)


def load(entry: ModelEntry, threads: int, cache_dir: Path) -> TorchModel:  # noqa: ARG001 - the loader's signature
    """Return the model; raise ExtraMissing, HubUnreachable, ModelFileGone, ModelFileChanged or ModelUnfit."""
    os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", str(_TIMEOUT_SECONDS))
    os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", str(_TIMEOUT_SECONDS))
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    require(entry.imports, extra=entry.extra, needed_for=entry.title)
    import torch
    from sentence_transformers import SentenceTransformer

    for file in entry.files.values():
        verified(file, entry.name)
    torch.set_num_threads(threads)
    hub = entry.options.get("hub")
    place = hub or next(file.folder for file in entry.files.values() if isinstance(file, FolderFile))
    silence = None if hub is None else _silence_of_hub(hub, entry.options.get("revision"))
    try:
        with _making:
            model = SentenceTransformer(
                place,
                revision=entry.options.get("revision"),
                device=None if device() == "auto" else device(),
                local_files_only=hub is None or silence is not None,
                trust_remote_code=False,
            )
        # The older name of it, which is deprecated in the newer versions.
        dimensions = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension
        found = int(dimensions() or 0)
    except Exception as error:
        # Whatever torch, transformers and the hub's client raise is about this model.
        reason = f"{type(error).__name__}: {silence or error}"
        if hub is not None:
            raise HubUnreachable(model=entry.name, hub=hub, reason=reason) from error
        raise ModelUnfit(model=entry.name, reason=reason) from error
    if found != entry.dimensions:
        raise ModelUnfit(model=entry.name, reason=f"it has {found} dimensions, and its table says {entry.dimensions}")
    return TorchModel(entry, model)


def _silence_of_hub(hub: str, revision: str | None) -> Exception | None:
    """Return why the hub does not answer for a model, after ten seconds at most; then only a kept copy will do.

    The library itself would ask again and again, for minutes.
    """
    from huggingface_hub import HfApi

    try:
        HfApi().model_info(hub, revision=revision, timeout=_TIMEOUT_SECONDS)
    except Exception as error:  # noqa: BLE001 - told, unless a copy is found
        return error
    return None

"""The models of this process: each is loaded once, by whoever asks first."""

from __future__ import annotations

import importlib
from pathlib import Path
from threading import RLock
from typing import Any

from prismhouse.engine.inference.lent import lent_model
from prismhouse.engine.inference.registry import entry

__all__ = ["is_loaded", "loaded"]

_models: dict[tuple[str, str, int, str], Any] = {}
_lent: list[tuple[str, str, int, str]] = []
_lock = RLock()
_MOST_LENT = 3
"""Models of users that a process keeps: there may be any number of them, and all have a size."""


def loaded(name: str, *, threads: int, cache_dir: Path) -> Any:
    """Return the model, loading it on the first call for these `threads` and this folder.

    Raises ModelNotFound, ModelMissing, ModelDamaged or ExtraMissing; a failed load is tried again next time.
    """
    item = entry(name)
    key = (name, item.fingerprint, threads, str(cache_dir))
    if (found := _models.get(key)) is not None:
        return found  # without the lock: it is held while another model is loaded
    with _lock:
        if key not in _models:
            module, function = item.loader.split(":")
            _models[key] = getattr(importlib.import_module(module), function)(item, threads, cache_dir)
            if lent_model(name) is not None:
                _keep_newest(key)
        return _models[key]


def is_loaded(name: str, *, threads: int, cache_dir: Path) -> bool:
    """Say whether `loaded` would return at once."""
    return (name, entry(name).fingerprint, threads, str(cache_dir)) in _models


def _keep_newest(key: tuple[str, str, int, str]) -> None:
    _lent.append(key)
    while len(_lent) > _MOST_LENT:
        _models.pop(_lent.pop(0))

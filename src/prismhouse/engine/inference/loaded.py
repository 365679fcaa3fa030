"""The models of this process: each is loaded once, by whoever asks first."""

from __future__ import annotations

import importlib
from pathlib import Path
from threading import Lock
from typing import Any

from prismhouse.engine.inference.lent import lent_model
from prismhouse.engine.inference.registry import entry

__all__ = ["is_loaded", "loaded"]

_models: dict[tuple[str, str, int, str], Any] = {}
_lent: list[tuple[str, str, int, str]] = []
_locks: dict[tuple[str, str, int, str], Lock] = {}
_lock = Lock()
_MOST_LENT = 3
"""Models of users that a process keeps: there may be any number of them, and all have a size."""


def loaded(name: str, *, threads: int, cache_dir: Path) -> Any:
    """Return the model, loading it on the first call for these `threads` and this folder.

    Who asks for a model that is being loaded waits for it, and for no other.
    Raises ModelNotFound, ModelMissing, ModelDamaged or ExtraMissing; a failed load is tried again next time.
    """
    item = entry(name)
    key = (name, item.fingerprint, threads, str(cache_dir))
    if (found := _models.get(key)) is not None:
        return found
    with _lock:
        own = _locks.setdefault(key, Lock())
    with own:
        if (found := _models.get(key)) is not None:
            return found
        module, function = item.loader.split(":")
        made = getattr(importlib.import_module(module), function)(item, threads, cache_dir)
        with _lock:
            _models[key] = made
            if lent_model(name) is not None:
                _keep_newest(key)
        return made


def is_loaded(name: str, *, threads: int, cache_dir: Path) -> bool:
    """Say whether `loaded` would return at once."""
    return (name, entry(name).fingerprint, threads, str(cache_dir)) in _models


def _keep_newest(key: tuple[str, str, int, str]) -> None:
    if key in _lent:
        _lent.remove(key)
    _lent.append(key)
    while len(_lent) > _MOST_LENT:
        oldest = _lent.pop(0)
        _models.pop(oldest, None)

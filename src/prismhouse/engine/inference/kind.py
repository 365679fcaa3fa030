"""What a kind of model in the file of models is: a table with its keys, and what it says of a model.

A kind is a subclass of `Table`, named in `configured.KINDS`. Its module stays light: what it needs to run a model is
imported by the loader that its entries name.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from prismhouse.engine.inference.entry import ModelEntry
from prismhouse.engine.inference.weights import AnyFile

__all__ = ["Table", "WrongKey", "fingerprint_of"]


class WrongKey(Exception):
    """What is wrong with a key of a table, beyond what its type tells."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key
        self.reason = reason


class Table(BaseModel, ABC):
    """Base of all kinds: the keys that every table has."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    kind: str
    title: str | None = Field(None, min_length=1, max_length=300)
    licence: str = Field("not stated", min_length=1, max_length=300)
    memory_mb: int = Field(0, ge=0)

    @abstractmethod
    def entry(self, name: str, base: Path) -> ModelEntry:
        """Return the model. Files are read, and hashed; nothing is loaded, and no address is called.

        Args:
            name: of the table.
            base: what paths are relative to: the folder of the file of models.

        Raises:
            WrongKey: a key does not fit what is there.
        """


def fingerprint_of(kind: str, options: Mapping[str, Any], files: Iterable[AnyFile]) -> str:
    """Return what differs when a model gives other vectors: of its kind, its options and its files."""
    told = [kind, dict(options), sorted((file.path, file.sha256) for file in files)]
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]

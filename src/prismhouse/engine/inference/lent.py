"""Models that are known for a while: whoever holds a user's model lends it to what is done inside a block.

The registry finds a lent model by its name like any other, but only there: nothing in this package knows who may use
which. A call to a compute process carries what it needs as `LentModel`s, and lends them again where it runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from prismhouse.engine.inference.archive import ArchiveLimits
from prismhouse.engine.inference.entry import ModelEntry

__all__ = ["LentModel", "lending", "lent_entries", "lent_model"]

_LOADER = "prismhouse.engine.inference.uploaded:load"
_LENT: ContextVar[Mapping[str, LentModel]] = ContextVar("lent_models")


@dataclass(frozen=True, slots=True, kw_only=True)
class LentModel:
    """A text model in an archive.

    Attributes:
        name: by which it is asked for; never that of another model.
        title: for people.
        dimensions: of its vectors; 0 where nobody has loaded it yet.
        sha256: of the archive, which names the folder that it is unpacked to.
        archive: where it is; None where nothing will be loaded. In a call, a `Path` names a file that goes along.
        limits: of unpacking it.
    """

    name: str
    title: str
    dimensions: int
    sha256: str
    archive: Path | None = None
    limits: ArchiveLimits = field(default_factory=ArchiveLimits)


@contextmanager
def lending(models: Iterable[LentModel]) -> Iterator[None]:
    """Have the registry find these models until the end of the block, in this task or thread alone."""
    token = _LENT.set({model.name: model for model in models})
    try:
        yield
    finally:
        _LENT.reset(token)


def lent_model(name: str) -> LentModel | None:
    """Return the lent model of this name, or None."""
    return _LENT.get({}).get(name)


def lent_entries() -> dict[str, ModelEntry]:
    """Return the lent models as entries of the registry, by name."""
    return {model.name: _entry(model) for model in _LENT.get({}).values()}


def _entry(model: LentModel) -> ModelEntry:
    return ModelEntry(
        name=model.name,
        title=model.title,
        task="text_embedding",
        modalities=("text",),
        dimensions=model.dimensions,
        licence="the uploader's",
        loader=_LOADER,
        extra="text",
        imports=("onnxruntime", "tokenizers"),
        memory_bytes=0,
    )

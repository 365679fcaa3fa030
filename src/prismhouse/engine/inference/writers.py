"""Which model writes descriptions, objects and corrections. None is built in: the file of models names them."""

from __future__ import annotations

from prismhouse.engine.inference.errors import WriterMissing
from prismhouse.engine.inference.registry import ModelEntry, all_models, default_model

__all__ = ["TASK", "writer_entry"]

TASK = "generation"


def writer_entry(name: str | None = None, *, vision: bool = False) -> ModelEntry:
    """Return the model of that name; without one that of `[defaults]`, or the only one that can do it.

    Raises WriterMissing, which says what to add to the file of models.
    """
    writers = {item.name: item for item in all_models().values() if item.task == TASK}
    able = [item for item in writers.values() if not vision or "image" in item.modalities]
    chosen = name or default_model(TASK)
    if name is not None and name not in writers:
        raise _missing(f"there is no such model as {name[:100]}", vision=vision, able=able)
    if chosen is not None and (name is not None or writers[chosen] in able):
        if writers[chosen] not in able:
            raise _missing(f"{chosen} does not look at pictures", vision=vision, able=able)
        return writers[chosen]
    if len(able) == 1:
        return able[0]
    lack = f"none of {', '.join(item.name for item in able)} is the default" if able else "none is configured"
    raise _missing(lack, vision=vision, able=able)


def _missing(lack: str, *, vision: bool, able: list[ModelEntry]) -> WriterMissing:
    kind = "a model that describes pictures" if vision else "a language model"
    keys = 'kind = "openai_chat", url, model' + (" and vision = true" if vision else "")
    known = f" Configured: {', '.join(item.name for item in able)}." if able else ""
    step = f"a table [models.NAME] with {keys}, or `generation` under [defaults],"
    return WriterMissing(kind=kind, lack=lack, known=known, step=step)

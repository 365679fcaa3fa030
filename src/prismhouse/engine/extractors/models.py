"""Which model makes the vectors of an extractor: the one that is named, else the default of the file of models."""

from __future__ import annotations

from prismhouse.engine.inference.lent import lent_entries
from prismhouse.engine.inference.registry import all_models, default_model, entry

__all__ = ["SENT_DIMENSIONS", "check_dimensions", "chosen_model"]

SENT_DIMENSIONS = 3072
"""What clients send as the length of vectors where nothing was chosen."""


def chosen_model(name: str | None, task: str) -> str | None:
    """Return the model for a collection, None for the built-in one; raise ValueError for one that is not here.

    It is written down with the collection, so that another default later changes nothing there.
    """
    if name is None:
        return default_model(task)
    there = [*all_models().values(), *lent_entries().values()]
    if name not in (known := [item.name for item in there if item.task == task]):
        raise ValueError(
            f"The model {name!r} is not available here. Available: {', '.join(known)}. The file of models"
            " (PRISMHOUSE_INFERENCE__MODELS_FILE) adds one, or a Python package through the entry point group"
            " prismhouse.models (see docs/models.md); one of yours is uploaded and deployed in the namespace"
            " (see docs/custom-models.md)."
        )
    return name


def check_dimensions(given: int, model: str) -> None:
    """Raise ValueError for a length of vectors that is neither the model's nor what clients send anyway."""
    made = entry(model).dimensions
    if given not in (made, SENT_DIMENSIONS):
        raise ValueError(
            f"output_dimensionality: {model} makes vectors of {made} dimensions, and they lose their meaning when they"
            f" are cut. Leave it out or set it to {made}."
        )

"""A request to a model, read: its inputs and parameters held against what the model takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prismhouse.api.inference.model import INPUT_KEYS, Inputs
from prismhouse.api.inference.service.cache import Question
from prismhouse.api.inference.service.room import Call
from prismhouse.api.web.caller import Scope
from prismhouse.engine.extractors.parameters import validate
from prismhouse.engine.extractors.raw import RAW_PARAMETERS, RAW_TASKS
from prismhouse.engine.inference.entry import ModelEntry
from prismhouse.engine.inference.writers import TASK as GENERATION
from prismhouse.kit.errors import Invalid, field_fault

__all__ = ["Asked", "Told", "check_inputs", "check_parameters"]


@dataclass(frozen=True, slots=True)
class Told:
    """An answer. `cached` says that all of it was given before."""

    data: Any
    cached: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What one call asks of a model. `delta` is None where no earlier answer may be given."""

    scope: Scope
    call: Call
    entry: ModelEntry
    inputs: Inputs
    parameters: Mapping[str, Any]
    delta: float | None

    @property
    def share(self) -> str:
        """Whose turn it is."""
        return self.call.share

    def about_text(self, content: bytes) -> Question:
        """Return a text of it as the cache knows it."""
        return Question.of(self.share, self.entry.name, self.parameters, "text", content)

    def about_file(self, kind: str, sha256: str) -> Question:
        """Return its file as the cache knows it."""
        return Question.of_digest(self.share, self.entry.name, self.parameters, kind, sha256)


def check_inputs(entry: ModelEntry, inputs: Inputs) -> None:
    """Raise Invalid where the model does not take what is there; the message names the keys that it takes."""
    if entry.task == GENERATION:
        is_fit = bool(inputs.texts) and (inputs.file is None or inputs.file.kind in entry.modalities)
        kinds = ("text", *(kind for kind in entry.modalities if kind != "text"))
    else:
        kinds = RAW_TASKS.get(entry.task, entry.modalities)
        sent = [*(["text"] if inputs.texts else []), *([inputs.file.kind] if inputs.file else [])]
        is_fit = len(sent) == 1 and sent[0] in kinds
    if is_fit:
        return
    keys = [key for key in INPUT_KEYS if key.split("_")[0].removesuffix("s") in (*kinds, *_prompt(kinds))]
    message = f"{entry.name} reads one of: {', '.join(keys)}."
    raise Invalid([field_fault(["body", "inputs"], message)])


def _prompt(kinds: Sequence[str]) -> tuple[str, ...]:
    return ("prompt",) if "text" in kinds else ()


def check_parameters(entry: ModelEntry, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters with defaults, of a model that does not write; raise Invalid."""
    if entry.task not in RAW_PARAMETERS:
        raise Invalid(
            [field_fault(["body", "inference_name"], f"Models for {entry.task} are not asked by themselves.")]
        )
    kind = RAW_PARAMETERS[entry.task]
    try:
        chosen = validate(kind, given)
    except Invalid as error:
        faults = [
            field_fault(["body", "parameters", *fault["location"][3:]], _message(entry, fault), fault["type"])
            for fault in error.details["validation_errors"]
        ]
        raise Invalid(faults) from error
    language = chosen.get("language")
    if language and entry.languages and language not in entry.languages:
        message = f"{entry.name} knows {', '.join(entry.languages)} alone."
        raise Invalid([field_fault(["body", "parameters", "language"], message)])
    return chosen


def _message(entry: ModelEntry, fault: Mapping[str, Any]) -> str:
    names = RAW_PARAMETERS[entry.task].model_fields
    if fault["type"] == "extra_forbidden" and not names:
        return f"Unknown parameter. {entry.name} has none."
    return str(fault["message"])

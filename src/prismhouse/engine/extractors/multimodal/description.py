"""What a model tells of pictures and texts: a description, and an object in the shape that was asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.generation import PromptQueue
from prismhouse.engine.extractors.multimodal.parameters import MOST_PICTURES
from prismhouse.engine.extractors.port import FloatArray, RowFailure
from prismhouse.engine.extractors.shapes import asked, stored, style_of
from prismhouse.engine.extractors.speech import speech_vector
from prismhouse.engine.inference.port import Generated, Prompt, Style
from prismhouse.engine.media.text import storable

__all__ = ["DESCRIPTION_OUTPUT", "Describer", "pictures_of", "shape_of"]

DESCRIPTION_OUTPUT = "description_embedding"
"""Name of the vector of what is described. That of its model is taken by the transcription's."""

_USUAL_PICTURES = 4
_PROMPT = (
    "Describe what is to be seen, in two to four plain sentences, so that it is found by those who search for it: who"
    " or what is there, what happens, where, and what is written. Several pictures are of one scene, in their order."
    " Name nothing that is not there."
)


def shape_of(parameters: Mapping[str, Any]) -> Any:
    """Return what json_output is to be: by response_shape, or by the schema or kind of generation_config."""
    config = parameters["generation_config"] or {}
    if parameters["response_shape"] is not None:
        return parameters["response_shape"]
    if config.get("response_schema"):
        return config["response_schema"]
    if config.get("response_mime_type") == "application/json":
        return parameters["description_prompt"] or _PROMPT
    return None


def pictures_of(pictures: Sequence[bytes], seconds: float, parameters: Mapping[str, Any]) -> tuple[bytes, ...]:
    """Return those that the model is shown of a segment, spread over it: four, or as many as video_fps asks for."""
    rate = (parameters["generation_config"] or {}).get("video_fps")
    most = _USUAL_PICTURES if rate is None else min(MOST_PICTURES, max(1, math.ceil(seconds * rate)))
    count = min(most, len(pictures))
    return tuple(pictures[(2 * part + 1) * len(pictures) // (2 * count)] for part in range(count))


@dataclass(slots=True)
class Describer:
    """Asks about the documents of some rows. `begin` says of which row the next ones are.

    Fields and vectors are added where they stand, once the answers come: at the latest with `flush`.
    """

    parameters: Mapping[str, Any]
    resources: Resources
    failures: list[RowFailure] = field(default_factory=list)
    _queue: PromptQueue = field(init=False)

    def __post_init__(self) -> None:
        """Ask nothing yet."""
        self._queue = PromptQueue(self.resources, vision=self.looks)

    @property
    def looks(self) -> bool:
        """Whether pictures are wanted."""
        return bool(self.parameters["run_video_description"]) or shape_of(self.parameters) is not None

    def begin(self, failures: list[RowFailure]) -> None:
        """Note what cannot be told of the next documents here."""
        self.failures = failures

    def ask(
        self,
        fields: dict[str, Any],
        vectors: dict[str, FloatArray],
        pictures: tuple[bytes, ...],
        *,
        said: str = "",
        describes: bool = True,
    ) -> None:
        """Ask about a document of which these pictures are there to see, or this is said or written."""
        if not pictures and not said.strip():
            return
        shape = shape_of(self.parameters)
        if self.parameters["run_video_description"] and describes:
            prompt = Prompt(text=_given(said), instructions=self._instructions(), images=pictures)

            def describe(made: Generated) -> None:
                fields["description"] = storable(made.text)
                if self.parameters["run_description_embedding"]:
                    vectors[DESCRIPTION_OUTPUT] = speech_vector(fields["description"], self.resources)

            self._queue.ask(prompt, self._style(), feature="description", take=describe, failures=self.failures)
        if shape is not None:

            def fill(made: Generated) -> None:
                fields["json_output"] = stored(made.value)

            style = style_of(shape, self.parameters["generation_config"])
            prompt = asked(shape, _given(said), pictures)
            self._queue.ask(prompt, style, feature="json_output", take=fill, failures=self.failures)

    def flush(self) -> None:
        """Ask what waits, and fill in the answers."""
        self._queue.flush()

    def _instructions(self) -> str:
        return str(self.parameters["description_prompt"] or _PROMPT)

    def _style(self) -> Style:
        config = self.parameters["generation_config"] or {}
        return Style(
            max_tokens=config.get("max_output_tokens"),
            temperature=config.get("temperature", 0.2),
            top_p=config.get("top_p"),
        )


def _given(said: str) -> str:
    return said or "These are the pictures."

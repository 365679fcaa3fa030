"""Asks a writer for many documents at once, and notes what it cannot tell: documents are written all the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.port import ExtractedDocument, RowFailure
from prismhouse.engine.extractors.rows import fault_of
from prismhouse.engine.extractors.shapes import Shape, asked, joined, style_of
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.port import Generated, GenerativeModel, Prompt, Style
from prismhouse.engine.inference.writers import writer_entry
from prismhouse.engine.media.text import storable

__all__ = ["PromptQueue", "ask_shape", "into"]

_TOGETHER = 32
"""Prompts that wait to be asked together. They hold pictures."""

Take = Callable[[Generated], None]


@dataclass(slots=True)
class _Question:
    prompt: Prompt
    style: Style
    feature: str
    take: Take
    failures: list[RowFailure]


@dataclass(slots=True)
class PromptQueue:
    """Gathers prompts, and hands the answers on as they come.

    Attributes:
        resources: of the process.
        model: of the file of models; None for the one that serves by default.
        vision: whether it has to look at pictures.
    """

    resources: Resources
    model: str | None = None
    vision: bool = False
    _waiting: list[_Question] = field(default_factory=list)

    def ask(self, prompt: Prompt, style: Style, *, feature: str, take: Take, failures: list[RowFailure]) -> None:
        """Note a prompt; at the latest `flush` hands its answer to `take`, or adds why there is none to `failures`.

        A row that misses the same feature in several documents is told so once.
        """
        self._waiting.append(_Question(prompt, style, feature, take, failures))
        if len(self._waiting) >= _TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Ask what waits. Errors about the house (the model is not configured any more) are raised."""
        waiting, self._waiting = self._waiting, []
        for style in dict.fromkeys(_key(one.style) for one in waiting):
            together = [one for one in waiting if _key(one.style) == style]
            for one, made in zip(together, self._made(together), strict=True):
                if made.fault is None:
                    one.take(made)
                elif all(known.missing_feature != one.feature for known in one.failures):
                    failure = fault_of(made.fault, "generate")
                    one.failures.append(replace(failure, missing_feature=one.feature))

    def _made(self, together: Sequence[_Question]) -> list[Generated]:
        name = writer_entry(self.model, vision=self.vision).name
        model: GenerativeModel = loaded(name, threads=self.resources.threads, cache_dir=self.resources.cache_dir)
        return model.generate([one.prompt for one in together], together[0].style)


def into(documents: list[ExtractedDocument], place: int, name: str) -> Take:
    """Return what puts a text that was written into a field of the document at that place of the list."""

    def take(made: Generated) -> None:
        held = documents[place]
        documents[place] = replace(held, fields={**held.fields, name: storable(made.text)})

    return take


def ask_shape(
    queue: PromptQueue, shape: Shape, documents: list[ExtractedDocument], field_name: str, failures: list[RowFailure]
) -> None:
    """Have `response_shape` filled from a field of each document: in the list, and later, as the queue is flushed."""

    def take(place: int, made: Generated) -> None:
        held = documents[place]
        cut = {"response_truncated": True} if made.truncated else {}
        documents[place] = replace(held, fields=joined({**held.fields, **cut}, made.value or {}))

    for place, document in enumerate(documents):
        if document.fields[field_name].strip():
            prompt = asked(shape, document.fields[field_name])
            queue.ask(prompt, style_of(shape), feature="response_shape", take=partial(take, place), failures=failures)


def _key(style: Style) -> str:
    return repr(style)

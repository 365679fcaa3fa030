"""What a model tells of each document: its description."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.generation import PromptQueue, into
from prismhouse.engine.extractors.port import ExtractedDocument, RowFailure
from prismhouse.engine.extractors.universal.documents import Draft
from prismhouse.engine.inference.errors import WriterMissing
from prismhouse.engine.inference.port import Prompt, Style
from prismhouse.engine.inference.writers import writer_entry

__all__ = ["ask_descriptions", "description_queue", "spread"]

_MOST_PICTURES = 4
_STYLE = Style(temperature=0.2)
_PROMPT = (
    "Describe this part of a file in two to four plain sentences, so that it is found by those who search for it: what"
    " is there or what it is about, what happens, where, and what is written or said. Several pictures are of one"
    " scene, in their order. Name nothing that is not there."
)
_ONLY_SEEN = "These are the pictures."


def description_queue(parameters: Mapping[str, Any], resources: Resources) -> PromptQueue | None:
    """Return what describes, or None: it is not wanted, or no model that looks at pictures serves by default."""
    if not parameters["generate_description"]:
        return None
    try:
        writer_entry(vision=True)
    except WriterMissing:
        return None
    return PromptQueue(resources, vision=True)


def ask_descriptions(
    queue: PromptQueue, drafts: Sequence[Draft], documents: list[ExtractedDocument], failures: list[RowFailure]
) -> None:
    """Ask about the last documents of the list, which drafts became; the descriptions come as the queue is flushed."""
    for place, draft in enumerate(drafts, start=len(documents) - len(drafts)):
        if draft.shown or draft.text.strip():
            prompt = Prompt(text=draft.text or _ONLY_SEEN, instructions=_PROMPT, images=draft.shown)
            take = into(documents, place, "description")
            queue.ask(prompt, _STYLE, feature="description", take=take, failures=failures)


def spread(pictures: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return those that the model is shown of a segment: four, spread over it."""
    count = min(_MOST_PICTURES, len(pictures))
    return tuple(pictures[(2 * part + 1) * len(pictures) // (2 * count)] for part in range(count))

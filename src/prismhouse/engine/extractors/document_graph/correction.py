"""Has a model read again, in the picture of the page, what was recognized with little certainty."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.document_graph.blocks import Block
from prismhouse.engine.extractors.document_graph.page import ReadPage, segment_of
from prismhouse.engine.extractors.document_graph.parameters import VLM_MODEL
from prismhouse.engine.extractors.generation import PromptQueue
from prismhouse.engine.extractors.port import RowFailure
from prismhouse.engine.inference.errors import WriterMissing
from prismhouse.engine.inference.port import Generated, Prompt, Style
from prismhouse.engine.inference.writers import writer_entry
from prismhouse.engine.media.text import storable

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Corrector", "check_corrector", "corrector_of", "texts_of"]

_PROMPT = (
    "The picture is a part of a page. Below is what a program read in it, with mistakes. Answer with the text as it"
    " stands in the picture and nothing else: no comment, no translation, no markup. Keep the lines."
)
_QUALITY = 90
_LONGEST_SIDE = 1600
_STYLE = Style(temperature=0.0)


def check_corrector(parameters: Mapping[str, Any]) -> None:
    """Raise WriterMissing where a model was chosen that is not configured any more."""
    if _is_wanted(parameters) and parameters["vlm_model"] != VLM_MODEL:
        writer_entry(parameters["vlm_model"], vision=True)


def corrector_of(parameters: Mapping[str, Any], resources: Resources) -> Corrector | None:
    """Return what corrects, or None: it is not wanted, or no model was chosen and none serves by default."""
    if not _is_wanted(parameters):
        return None
    chosen = parameters["vlm_model"] if parameters["vlm_model"] != VLM_MODEL else None
    try:
        writer_entry(chosen, vision=True)
    except WriterMissing:
        if chosen is not None:
            raise
        return None
    return Corrector(chosen, parameters["min_confidence_for_vlm"], resources)


def _is_wanted(parameters: Mapping[str, Any]) -> bool:
    return bool(parameters["use_vlm_correction"]) and not parameters["fast_mode"]


@dataclass(slots=True)
class Corrector:
    """Corrects the blocks of pages whose certainty is below `least`."""

    model: str | None
    least: float
    resources: Resources
    _queue: PromptQueue = field(init=False)

    def __post_init__(self) -> None:
        """Ask nothing yet."""
        self._queue = PromptQueue(self.resources, model=self.model, vision=True)

    def corrected(self, page: ReadPage, failures: list[RowFailure], *, most: int) -> dict[int, str]:
        """Return corrected texts of the first `most` blocks by their places; note in `failures` what could not be."""
        found: dict[int, str] = {}
        if page.image is None:
            return found
        for place, block in enumerate(page.blocks[:most]):
            if block.confidence < self.least and block.text.strip():
                self._ask(page, block, partial(_take, found, place), failures)
        self._queue.flush()
        return found

    def _ask(self, page: ReadPage, block: Block, take: Any, failures: list[RowFailure]) -> None:
        prompt = Prompt(text=block.text, instructions=_PROMPT, images=(_jpeg(segment_of(page, block)),))
        self._queue.ask(prompt, _STYLE, feature="text_corrected", take=take, failures=failures)


def _take(found: dict[int, str], place: int, made: Generated) -> None:
    found[place] = storable(made.text)


def _jpeg(image: Image) -> bytes:
    ratio = min(1.0, _LONGEST_SIDE / max(image.size))
    size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
    buffer = io.BytesIO()
    (image if ratio == 1.0 else image.resize(size)).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def texts_of(blocks: Sequence[Block], corrected: Mapping[int, str]) -> list[str]:
    """Return the texts that vectors are made of: corrected where they were."""
    return [corrected.get(place, storable(block.text)) for place, block in enumerate(blocks)]

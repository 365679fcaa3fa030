"""Goes through a row: a video with its subtitles, a PDF, or an archive of source code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from prismhouse.engine.extractors.course.code import of_archive
from prismhouse.engine.extractors.course.cues import subtitles
from prismhouse.engine.extractors.course.documents import Unit, documents
from prismhouse.engine.extractors.course.parameters import PROMPT
from prismhouse.engine.extractors.course.pdf import of_pdf
from prismhouse.engine.extractors.course.video import of_film
from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.files import file_of
from prismhouse.engine.extractors.generation import PromptQueue, into
from prismhouse.engine.extractors.port import Part, Row, RowFailure, RowResult
from prismhouse.engine.extractors.rows import failed, failure_of, one_by_one, parts, settled
from prismhouse.engine.inference.port import Prompt, Speech, Style
from prismhouse.engine.inference.session import require
from prismhouse.engine.media.errors import MediaFault

__all__ = ["CourseExtractor"]

_TOLD = ("title", "text_content", "screen_text", "code_content")
_STYLE = Style(temperature=0.2)
_SOURCES = ("video", "pdf", "code_archive")
_EMPTY = "There is no video, PDF or archive, or nothing to learn from in it."


@dataclass(frozen=True, slots=True)
class CourseExtractor:
    """A document for each unit."""

    parameters: Mapping[str, Any]
    resources: Resources

    def __call__(self, rows: Sequence[Row]) -> list[RowResult]:
        """Return one result per row, in the same order."""
        queue = PromptQueue(self.resources)
        results = one_by_one(rows, lambda row: self._row(row, queue))
        # The rows are asked about together: answers take seconds. They go into the documents of the results.
        queue.flush()
        return results

    def _row(self, row: Row, queue: PromptQueue) -> RowResult:
        try:
            found = _source(row)
            if found is None:
                return RowResult(row_id=row.row_id, skipped=_EMPTY)
            name, part = found
            if name == "video":
                result = self._film(row, part)
            else:
                result = self._paper(row, part) if name == "pdf" else self._code(row, part)
        except (MediaFault, OSError, MemoryError) as error:
            return failed(row, error, "decode")
        return self._summed_up(result, queue) if self.parameters["enrich_with_llm"] else result

    def _summed_up(self, result: RowResult, queue: PromptQueue) -> RowResult:
        """Return the result with lists that the queue fills when it is flushed."""
        documents, failures = [*result.documents], [*result.partial_failures]
        for place, document in enumerate(documents):
            told = [str(document.fields[name]) for name in _TOLD if document.fields.get(name)]
            if told:
                prompt = Prompt(text="\n\n".join(told), instructions=self.parameters["llm_prompt"] or PROMPT)
                take = into(documents, place, "summary")
                queue.ask(prompt, _STYLE, feature="summary", take=take, failures=failures)
        return replace(result, documents=documents, partial_failures=failures)

    def _film(self, row: Row, part: Part) -> RowResult:
        require(("av",), extra="media", needed_for="Reading videos")
        told, failures = self._subtitles(row)
        with file_of(part) as path:
            watched = of_film(part, path, told, parameters=self.parameters, resources=self.resources)
        units = {"minute": watched.seconds / 60, "extraction": 1.0}
        return self._settled(row, watched.units, [*failures, *watched.failures], units)

    def _subtitles(self, row: Row) -> tuple[Speech | None, list[RowFailure]]:
        """Return what the subtitles say; those that cannot be read are lost, and told."""
        given = parts(row, "srt")
        try:
            return (subtitles(given[0]) if given else None), []
        except (MediaFault, OSError) as error:
            return None, [failure_of(row, error, "subtitles")]

    def _paper(self, row: Row, part: Part) -> RowResult:
        printed = of_pdf(part, self.parameters, self.resources)
        units = {"page": float(printed.pages), "extraction": 1.0}
        result = self._settled(row, printed.units, printed.failures, units)
        return replace(result, dropped={"pages": printed.dropped}) if printed.dropped and result.documents else result

    def _code(self, row: Row, part: Part) -> RowResult:
        with file_of(part) as path:
            packed = of_archive(path, self.parameters, self.resources)
        return self._settled(row, packed.units, packed.failures, {"extraction": 1.0})

    def _settled(
        self, row: Row, units: Sequence[Unit], failures: Sequence[RowFailure], paid: Mapping[str, float]
    ) -> RowResult:
        made = documents(units, self.parameters, self.resources)
        result = settled(row, made, failures, empty=_EMPTY)
        return replace(result, units=paid) if made else result


def _source(row: Row) -> tuple[str, Part] | None:
    """Return the one thing that a row holds, by the name of its input; raise MediaFault for several."""
    given = [(name, part) for name in _SOURCES for part in parts(row, name)]
    if len(given) > 1 or len(parts(row, "srt")) > 1:
        names = ", ".join([*(name for name, _ in given), *("srt" for _ in parts(row, "srt"))])
        message = f"An object holds one of {', '.join(_SOURCES)}, and one `srt` with a video; this one holds {names}."
        raise MediaFault("several_inputs", f"{message} Split it.")
    if not given and parts(row, "srt"):
        raise MediaFault("no_video", "There are subtitles but no video. Map the input `video` too.")
    return given[0] if given else None

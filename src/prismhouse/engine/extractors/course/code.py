"""An archive of source code becomes units: functions, classes, blocks, cells of notebooks, and pages of texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from prismhouse.engine.extractors.course.documents import Unit, check_units
from prismhouse.engine.extractors.course.languages import TEXTS, language_of
from prismhouse.engine.extractors.course.parts import parts_of, whole
from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.port import ErrorType, RowFailure
from prismhouse.engine.extractors.splitting import SplitRule, split
from prismhouse.engine.media.archive import Member, opened_archive
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.text import decode_text, storable
from prismhouse.kit import json

__all__ = ["Packed", "of_archive"]

_TEXT_WORDS = 300
_SECTION_CHARACTERS = 2000
_MINIFIED_CHARACTERS = 400
"""Characters of a line on average: nobody wrote such a file."""

_REASONS = {
    "link_or_device": "links and devices",
    "unsafe_path": "with a path that leads out of the archive",
    "repeated_path": "under a path that was there before",
    "file_too_large": "larger than PRISMHOUSE_MEDIA__ARCHIVE_FILE_BYTES",
    "unknown_compression": "packed by a method that is not read",
    "not_text": "not UTF-8, although their name says source code or text",
    "bad_notebook": "no notebooks of Jupyter, although their name says so",
}


@dataclass(slots=True)
class Packed:
    """What is in an archive: its units, and what was left out that should not have been."""

    units: list[Unit] = field(default_factory=list)
    failures: list[RowFailure] = field(default_factory=list)


def of_archive(path: Path, parameters: Mapping[str, Any], resources: Resources) -> Packed:
    """Return the units of an archive; raise MediaFault.

    Files that are neither source code nor text, that tools made, or in other languages than asked for are passed over.
    """
    packed = Packed()
    wanted = {str(name).lower() for name in parameters["supported_languages"]}
    with opened_archive(path, resources.media) as archive:
        for member in archive.members(_is_told):
            language, kind = language_of(member.path), _text_kind(member.path)
            if wanted and language is not None and not _is_wanted(language, wanted):
                continue
            try:
                units = list(_units(member, language, kind, parameters))
            except MediaFault as fault:
                reason = fault.code if fault.code in _REASONS else "not_text"
                archive.left_out[reason] = archive.left_out.get(reason, 0) + 1
                continue
            packed.units += units
            check_units(len(packed.units), resources)
        left_out = {reason: count for reason, count in archive.left_out.items() if count}
    if left_out:
        told = "; ".join(f"{count} {_REASONS[reason]}" for reason, count in sorted(left_out.items()))
        message = f"{sum(left_out.values())} files of the archive were left out: {told}."
        packed.failures.append(
            RowFailure(stage="decode", code="files_left_out", message=message, error_type=ErrorType.PERMANENT)
        )
    return packed


def _text_kind(path: str) -> str | None:
    return TEXTS.get(PurePosixPath(path).suffix.lower())


def _is_told(path: str) -> bool:
    return language_of(path) is not None or _text_kind(path) is not None


def _is_wanted(language: str, wanted: set[str]) -> bool:
    return language in wanted or (language == "notebook" and "python" in wanted)


def _units(member: Member, language: str | None, kind: str | None, parameters: Mapping[str, Any]) -> Iterator[Unit]:
    text = storable(decode_text(member.data)).replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        return
    if kind is not None:
        yield from _told(member.path, text, kind)
    elif language == "notebook":
        yield from _cells(member.path, text)
    elif len(text) <= _MINIFIED_CHARACTERS * (text.count("\n") + 1):
        yield from _programmed(member.path, text, language, segment=parameters["segment_functions"])


def _programmed(path: str, source: str, language: str | None, *, segment: bool) -> Iterator[Unit]:
    lines = source.split("\n")
    for index, part in enumerate(parts_of(source, language) if segment else whole(lines)):
        fields = {
            "file_path": path,
            "title": f"{path}: {part.title}" if part.title else path,
            "code_language": language,
            "code_content": "\n".join(lines[part.first - 1 : part.last]),
            "start_line": part.first,
            "end_line": part.last,
            "element_index": index,
        }
        if part.told:
            fields["text_content"] = part.told
        yield Unit(doc_type="code", unit_type=part.kind, fields=fields)


def _told(path: str, text: str, kind: str) -> Iterator[Unit]:
    """Yield the sections of Markdown with their code, or a text in pages."""
    rule = SplitRule(by="words", size=_TEXT_WORDS)
    if kind == "markdown":
        rule = SplitRule(by="markdown", size=_SECTION_CHARACTERS)
    for index, chunk in enumerate(split(text, rule)):
        first = text.count("\n", 0, chunk.start) + 1
        heads = chunk.fields.get("heading_path") or []
        fields: dict[str, Any] = {
            "file_path": path,
            "title": " > ".join([path, *heads]),
            "element_index": index,
            "start_line": first,
            "end_line": first + text.count("\n", chunk.start, max(chunk.start, chunk.end - 1)),
        }
        if chunk.fields.get("chunk_kind") == "code":
            fields["code_content"] = chunk.text
            if language := chunk.fields.get("code_language"):
                fields["code_language"] = language
            yield Unit(doc_type="code", unit_type="block", fields=fields)
        else:
            yield Unit(doc_type="code", unit_type="text", fields={**fields, "text_content": chunk.text})


def _cells(path: str, text: str) -> Iterator[Unit]:
    """Yield the cells of a notebook of Jupyter, `element_index` being their place; what they printed is left out."""
    try:
        book = json.loads(text.encode())
        language = str(book["metadata"].get("language_info", {}).get("name") or "python")
        cells = [(str(cell["cell_type"]), _joined(cell["source"])) for cell in book["cells"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MediaFault("bad_notebook", f"{path} is no notebook of Jupyter ({error}).") from error
    for index, (kind, source) in enumerate(cells):
        if not source.strip() or kind not in ("code", "markdown"):
            continue
        fields = {"file_path": path, "title": path, "element_index": index}
        if kind == "code":
            told = {**fields, "code_content": storable(source), "code_language": language}
            yield Unit(doc_type="code", unit_type="block", fields=told)
        else:
            yield Unit(doc_type="code", unit_type="text", fields={**fields, "text_content": storable(source)})


def _joined(source: Any) -> str:
    return source if isinstance(source, str) else "".join(str(line) for line in source)

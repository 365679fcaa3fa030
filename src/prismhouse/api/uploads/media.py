"""Declared media types: which are well formed, and which may fill a file field of a bucket."""

from __future__ import annotations

import re

from prismhouse.api.buckets.model import FieldType

__all__ = ["fits", "is_media_type", "kind_of"]

_WORD = r"[A-Za-z0-9!#$&^_.+-]{1,127}"
_PARAMETER = rf'[ \t]*;[ \t]*{_WORD}=(?:{_WORD}|"[ !#-\[\]-~]*")'
_MEDIA_TYPE = re.compile(rf"{_WORD}/{_WORD}(?:{_PARAMETER})*", re.ASCII)
_UNKNOWN = frozenset({"application/octet-stream", "binary/octet-stream"})
_PDF = frozenset({"application/pdf", "application/x-pdf"})
_SHEETS = (
    "application/vnd.ms-excel",
    "application/vnd.openxmlformats-officedocument.spreadsheetml",
    "application/vnd.oasis.opendocument.spreadsheet",
    "text/csv",
    "text/tab-separated-values",
    "application/csv",
)
_TEXTUAL = frozenset({"json", "xml", "yaml", "x-yaml", "toml", "javascript", "x-ndjson", "jsonl", "rtf", "sql"})
_STREAMS = frozenset({"application/ogg", "application/mp4", "application/x-mpegurl"})


def is_media_type(text: str) -> bool:
    """Say whether this is `type/subtype` with parameters that can stand in a header."""
    return _MEDIA_TYPE.fullmatch(text) is not None


def fits(content_type: str, kind: FieldType) -> bool:
    """Say whether a file of this type may fill the field. Unknown bytes may: confirmation looks at them."""
    mime = _plain(content_type)
    family = mime.partition("/")[0]
    if mime in _UNKNOWN:
        return True
    match kind:
        case FieldType.IMAGE:
            return family == "image"
        case FieldType.AUDIO:
            return family in {"audio", "video"} or mime in _STREAMS
        case FieldType.VIDEO:
            return family in {"video", "audio"} or mime in _STREAMS | {"image/gif", "image/webp", "image/apng"}
        case FieldType.PDF:
            return mime in _PDF
        case FieldType.EXCEL:
            return mime.startswith(_SHEETS)
        case FieldType.TEXT:
            return family == "text" or _is_textual(mime)
        case FieldType.JSON:
            return mime.endswith("json") or mime in {"text/plain", "application/x-ndjson", "application/jsonl"}
    return True


def kind_of(content_type: str) -> FieldType:
    """Return the type of field that a file of this type is made for."""
    mime = _plain(content_type)
    family = mime.partition("/")[0]
    if family in {"image", "audio", "video"}:
        return FieldType(family)
    if mime in _PDF:
        return FieldType.PDF
    if mime.startswith(_SHEETS) and family != "text":
        return FieldType.EXCEL
    if mime.endswith("json"):
        return FieldType.JSON
    return FieldType.TEXT if family == "text" or _is_textual(mime) else FieldType.BINARY


def _plain(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _is_textual(mime: str) -> bool:
    family, _, subtype = mime.partition("/")
    return family == "application" and (subtype in _TEXTUAL or subtype.endswith(("+json", "+xml", "+yaml")))

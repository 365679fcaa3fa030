"""What a file really is, against the type of the field it is for."""

from __future__ import annotations

import mimetypes

from prismhouse.api.buckets.model import FieldType
from prismhouse.engine.media.sniff import Sniffed, begins_as_such, sniff
from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["HEAD_BYTES", "KindMismatch", "media_type", "named_media_type", "plain_media_type"]

HEAD_BYTES = 8192
_LABELS = {
    FieldType.PDF: "PDF",
    FieldType.IMAGE: "an image",
    FieldType.AUDIO: "audio",
    FieldType.VIDEO: "a video",
    FieldType.EXCEL: "a spreadsheet",
    FieldType.TEXT: "text",
    FieldType.JSON: "JSON",
}
_FITTING = {
    FieldType.PDF: {"pdf"},
    FieldType.IMAGE: {"image"},
    FieldType.AUDIO: {"audio", "video"},  # containers hold either, and a film has a soundtrack
    FieldType.VIDEO: {"video", "audio", "image"},
    FieldType.EXCEL: {"excel"},
    FieldType.TEXT: {"text"},
    FieldType.JSON: {"text"},
}
_NEVER_A_PAGE = frozenset({FieldType.PDF, FieldType.IMAGE, FieldType.AUDIO, FieldType.VIDEO})
_DEFINITIVE = frozenset({"pdf", "image", "audio", "video", "excel"})
_DEFAULTS = {FieldType.TEXT: "text/plain", FieldType.JSON: "application/json"}


class KindMismatch(WarehouseError):
    """expected {expected}, got {found} ({media_type})"""

    code = Code.BAD_REQUEST
    hint = "Send a file of the field's type, or name another field."


def media_type(kind: FieldType, head: bytes, *, declared: str | None, filename: str | None) -> str:
    """Return the media type; raise KindMismatch when the bytes are certainly of another kind than the field.

    Args:
        kind: the field's type.
        head: the first `HEAD_BYTES` of the file.
        declared: what its sender says.
        filename: its name, whose extension counts where neither bytes nor sender say anything.
    """
    found = sniff(head)
    fitting = _FITTING.get(kind)
    named = declared.lower() if declared and declared != "application/octet-stream" else named_media_type(filename)
    definitive = found.kind in _DEFINITIVE
    if fitting is not None and ((definitive and found.kind not in fitting) or _is_text_instead(kind, found, named)):
        raise KindMismatch(expected=_LABELS[kind], found=found.label, media_type=found.mime)
    if definitive and (fitting is not None or kind in {FieldType.BINARY, FieldType.DOCUMENT}):
        return found.mime
    return named or _DEFAULTS.get(kind, found.mime)


def _is_text_instead(kind: FieldType, found: Sniffed, named: str | None) -> bool:
    """Say whether text, such as the error page of a download, stands where a file should that never is text.

    Some pictures and playlists are text: those are of types that do not begin with bytes of their own.
    """
    if kind not in _NEVER_A_PAGE or found.kind != "text" or found.mime == "image/svg+xml":
        return False
    return kind is FieldType.PDF or found.mime == "text/html" or (named is not None and begins_as_such(named))


def named_media_type(filename: str | None) -> str | None:
    """Return what the extension of a name says."""
    return mimetypes.guess_type(filename)[0] if filename else None


def plain_media_type(kind: FieldType, filename: str | None) -> str:
    """Return the media type of text."""
    return named_media_type(filename) or _DEFAULTS.get(kind, "text/plain")

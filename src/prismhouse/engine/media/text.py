"""Bytes become text that can be stored."""

from __future__ import annotations

from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.sniff import encoding, sniff

__all__ = ["decode_text", "storable"]

_HEAD_CHARS = 8192


def storable(text: str) -> str:
    """Return the text with U+0000 and lone surrogates, which JSON columns refuse, as U+FFFD: offsets stay."""
    if not text.isascii():
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\x00", "\ufffd")


def decode_text(data: bytes) -> str:
    """Return UTF-8, UTF-16 or UTF-32 text (the latter two by their byte order mark).

    Raises MediaFault for other files: text is never guessed at, so it is never silently garbled.
    """
    try:
        text = data.decode(encoding(data))
    except UnicodeDecodeError as error:
        found = sniff(data)
        if found.mime != "application/octet-stream":
            raise _not_text(data) from error
        message = f"The text is not UTF-8 (byte {error.start}). Save it as UTF-8 and upload it again."
        raise MediaFault("text_encoding", message) from error
    if "\x00" in text[:_HEAD_CHARS]:
        raise _not_text(data)
    return text


def _not_text(data: bytes) -> MediaFault:
    found = sniff(data)
    message = f"Expected text, got {found.label} ({found.mime}). Map the input to another field."
    return MediaFault("media_type_mismatch", message)

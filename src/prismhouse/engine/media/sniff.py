"""What bytes really are, whatever their name and declared type say."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from prismhouse.engine.media.errors import MediaFault

__all__ = ["Sniffed", "begins_as_such", "encoding", "expect", "sniff"]

_HEAD_BYTES = 8192
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"8BPS", "image/vnd.adobe.photoshop"),
    (b"\x00\x00\x01\x00", "image/vnd.microsoft.icon"),
    (b"\x00\x00\x00\x0cjP  ", "image/jp2"),
    (b"qoif", "image/qoi"),
    (b"%PDF-", "application/pdf"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"FLV\x01", "video/x-flv"),
    (b"\x00\x00\x01\xba", "video/mpeg"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"PAR1", "application/vnd.apache.parquet"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_ISO_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"qt  ": "video/quicktime",
}
_SIGNED = frozenset({mime for _, mime in _SIGNATURES} | {*_RIFF.values()} | {*_ISO_BRANDS.values()} | {"video/mp4"})
_OFFICE_PARTS = ((b"xl/", "excel"), (b"word/", "word"), (b"ppt/", "powerpoint"))
_OFFICE_MIME = {
    "excel": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "word": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "powerpoint": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
_MPEG_AUDIO = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]")
_BMP = re.compile(rb"BM.{4}\x00\x00\x00\x00", re.DOTALL)
_HTML = re.compile(r"<(?:!doctype\s+html|html|head|body)[\s>]", re.IGNORECASE)
_PROLOGUE = re.compile(r"\s++|<\?xml[^>]*+>|<!--.*?-->", re.DOTALL | re.IGNORECASE)
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ARTICLES = {"image": "an image", "audio": "audio", "text": "text", "pdf": "a PDF", "video": "a video"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sniffed:
    """`kind` is image, video, audio, pdf, text, excel or binary; `label` is a short name for messages."""

    mime: str
    kind: str

    @property
    def label(self) -> str:
        """`PNG`, `PDF`, `plain text` ..., for people."""
        if self.kind == "text":
            return "text"
        if self.kind == "binary" and self.mime == "application/octet-stream":
            return "unknown bytes"
        return self.mime.rsplit("/", 1)[-1].removeprefix("x-").removeprefix("vnd.").upper()


def sniff(data: bytes) -> Sniffed:
    """Return what the bytes are, from their content alone."""
    mime = _signature(data) or _text_type(data) or _by_puremagic(data) or "application/octet-stream"
    return Sniffed(mime=mime, kind=_kind(mime))


def begins_as_such(mime: str) -> bool:
    """Say whether files of a type begin with bytes that `sniff` knows and that no text has."""
    return mime in _SIGNED


def expect(data: bytes, kind: str) -> Sniffed:
    """Return what the bytes are; raise MediaFault such as `expected an image, got PDF` when not of this kind."""
    if not data:
        raise MediaFault("empty_file", f"Expected {_ARTICLES.get(kind, kind)}, got an empty file.")
    found = sniff(data)
    if found.kind != kind:
        raise MediaFault(
            "media_type_mismatch",
            f"Expected {_ARTICLES.get(kind, kind)}, got {found.label} ({found.mime}). Map the input to another field.",
        )
    return found


def encoding(data: bytes) -> str:
    """Return the encoding that the byte order mark names, else UTF-8."""
    return next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")


def _signature(data: bytes) -> str | None:
    for start, mime in _SIGNATURES:
        if data.startswith(start):
            return _zip_type(data) if mime == "application/zip" else mime
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12])
    if data[4:8] == b"ftyp":
        return _ISO_BRANDS.get(data[8:12], "video/mp4")
    if _MPEG_AUDIO.match(data):
        return "audio/mpeg"
    return "image/bmp" if _BMP.match(data) else None


def _zip_type(data: bytes) -> str:
    return next((_OFFICE_MIME[kind] for part, kind in _OFFICE_PARTS if part in data[:_HEAD_BYTES]), "application/zip")


def _text_type(data: bytes) -> str | None:
    """Return a text type when the beginning decodes and holds no control characters."""
    decoder = codecs.getincrementaldecoder(encoding(data))()
    try:
        head = decoder.decode(data[:_HEAD_BYTES], final=len(data) <= _HEAD_BYTES)
    except UnicodeDecodeError:
        return None
    if not data or _CONTROLS.search(head):
        return None
    begin = head.lstrip()[:64].lower()
    at = 0
    while (prologue := _PROLOGUE.match(head, at)) is not None:
        at = prologue.end()
    if _HTML.match(head, at):
        return "text/html"
    if begin.startswith("<svg") or (begin.startswith("<?xml") and "<svg" in head):
        return "image/svg+xml"
    return "text/plain"


def _by_puremagic(data: bytes) -> str | None:
    import puremagic

    try:
        found = str(puremagic.from_string(data[:_HEAD_BYTES], mime=True))
    except (puremagic.PureError, ValueError):
        return None
    return None if found.startswith("text/") or "/" not in found else found


def _kind(mime: str) -> str:
    if mime == "application/pdf":
        return "pdf"
    if mime == _OFFICE_MIME["excel"]:
        return "excel"
    if mime == "image/svg+xml":
        return "text"
    family = mime.split("/", 1)[0]
    return family if family in ("image", "video", "audio", "text") else "binary"

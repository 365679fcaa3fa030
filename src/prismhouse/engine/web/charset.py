"""Bytes of a page become text, whatever its server and its author say of their encoding."""

from __future__ import annotations

import codecs
import re

__all__ = ["decoded"]

_HEAD_BYTES = 4096
_META = re.compile(rb"<meta[^>]{0,500}?charset\s*=\s*[\"']?\s*([A-Za-z0-9._:-]{2,40})", re.IGNORECASE)
# As browsers do (the WHATWG's Encoding Standard): these names mean more than they say.
_MEANT = {
    "ascii": "cp1252",
    "us-ascii": "cp1252",
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "iso-8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "big5": "big5hkscs",
    "utf8": "utf-8",
    "unicode": "utf-8",
}
# Python knows codecs that are none of the web, some of them slow or worse.
_KNOWN = re.compile(
    r"utf-8|utf-16(?:le|be)?|windows-\d{3,4}|cp(?:125\d|874|932|949|866)|iso-?8859-\d{1,2}|koi8-[ru]|macintosh|mac-roman"
    r"|gb18030|big5hkscs|euc[-_]jp|iso-2022-jp|tis-620",
    re.IGNORECASE,
)
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def decoded(body: bytes, declared: str | None) -> str:
    """Return the text: by its mark, else as UTF-8 where it is, else as declared by the server or the page.

    What is valid UTF-8 beyond ASCII is hardly ever anything else, so a wrong declaration does not garble it.
    """
    for mark, codec in _BOMS:
        if body.startswith(mark):
            return body[len(mark) :].decode(codec, "replace")
    named = [name for name in (_codec(declared), _codec(_in_page(body))) if name is not None]
    if any(name.startswith(("utf-16", "iso-2022")) for name in named[:1]):
        return body.decode(named[0], "replace")
    text = body.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    if not broken or broken < sum(letter > "\x7f" for letter in text) - broken:
        return text  # UTF-8, with some broken letters at most
    for codec in (*named, "cp1252"):
        try:
            return body.decode(codec)
        except UnicodeDecodeError:
            continue
    return body.decode(named[0] if named else "cp1252", "replace")


def _in_page(body: bytes) -> str | None:
    match = _META.search(body[:_HEAD_BYTES])
    found = match[1].decode("ascii") if match else None
    # Who reads it as ASCII knows that it is not UTF-16.
    return "utf-8" if found and found.lower().startswith("utf-16") else found


def _codec(name: str | None) -> str | None:
    if name is None:
        return None
    meant = _MEANT.get(name.strip().lower(), name.strip().lower())
    if not _KNOWN.fullmatch(meant):
        return None
    try:
        return codecs.lookup(meant).name
    except LookupError:
        return None

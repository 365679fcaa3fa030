"""Documents as answers: which file, where in it, and what stands there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import httpx2

from prismhouse.engine.media.sniff import encoding

__all__ = ["Answer", "Lines", "answer_of", "clock", "told_once"]

_TEXTS = (
    "text",
    "text_corrected",
    "text_raw",
    "text_content",
    "transcription",
    "ocr_text",
    "screen_text",
    "code_content",
    "content",
    "description",
)
_TIMES = (("start_time", "end_time"), ("start_time_s", "end_time_s"), ("start_time_sec", "end_time_sec"))
_LEAST_CONFIDENCE = 0.03
_LABELS_SHOWN = 3
_TIMEOUT = httpx2.Timeout(10, connect=3)
_LONGEST_TEXT_BYTES = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer. `place` is empty where the whole file is meant; `picture` is a link that expires."""

    rank: int
    score: float
    file: str
    place: str
    kind: str
    text: str
    labels: tuple[str, ...]
    picture: str | None
    document_id: str
    collection_id: str
    object_id: str

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return asdict(self) | {"labels": list(self.labels)}

    def is_told_by(self, other: Answer) -> bool:
        """Whether two extractors made them of the same place of an object, and one has nothing to say beyond the other.

        One extractor alone has its reasons for two.
        """
        same = (self.object_id, self.place) == (other.object_id, other.place)
        told = self.text in other.text or other.text in self.text
        return same and told and self.collection_id != other.collection_id


class Lines:
    """Turns characters of text files into lines; a file that cannot be read has none."""

    def __init__(self) -> None:
        self._texts: dict[str, str | None] = {}

    def of(self, document: Mapping[str, Any]) -> tuple[int, int] | None:
        """Return the first and the last line of the document in its file, from 1."""
        start, end = document.get("start_char"), document.get("end_char")
        text = self._text(document) if isinstance(start, int) and isinstance(end, int) else None
        if text is None or not isinstance(start, int) or not isinstance(end, int):
            return None
        return text.count("\n", 0, start) + 1, text.count("\n", 0, max(start, end - 1)) + 1

    def _text(self, document: Mapping[str, Any]) -> str | None:
        blobs = (document.get("_internal") or {}).get("source_blobs") or document.get("source_blobs") or ()
        blob = next((each for each in blobs if each.get("type") == "text" and each.get("presigned_url")), None)
        if blob is None or (blob.get("size_bytes") or 0) > _LONGEST_TEXT_BYTES:
            return None
        key = str(blob.get("checksum") or blob["presigned_url"])
        if key not in self._texts:
            self._texts[key] = _fetched_text(blob["presigned_url"])
        return self._texts[key]


def answer_of(document: Mapping[str, Any], rank: int, lines: Lines) -> Answer:
    """Return a found document as an answer."""
    return Answer(
        rank=rank,
        score=float(document.get("score") or 0),
        file=str(document.get("path") or document.get("file") or _filename(document) or document["document_id"]),
        place=_place(document, lines),
        kind=str(document.get("kind") or (document.get("_internal") or {}).get("modality") or ""),
        text=next((document[name] for name in _TEXTS if isinstance(document.get(name), str) and document[name]), ""),
        labels=_labels(document),
        picture=next(
            (str(document[name]) for name in ("segment_thumbnail_url", "thumbnail_url") if document.get(name)), None
        ),
        document_id=str(document["document_id"]),
        collection_id=str(document.get("collection_id") or ""),
        object_id=str(
            ((document.get("_internal") or {}).get("lineage") or {}).get("root_object_id") or document["document_id"]
        ),
    )


def told_once(answers: Iterable[Answer], limit: int) -> list[Answer]:
    """Return the first answers, numbered anew, without what a further extractor made of a place that is there.

    The better answer takes over what it lacks: the longer text, labels, a picture.
    """
    kept: list[Answer] = []
    for answer in answers:
        at = next((number for number, one in enumerate(kept) if one.is_told_by(answer)), None)
        if at is None:
            kept.append(answer)
        else:
            kept[at] = replace(
                kept[at],
                text=max(kept[at].text, answer.text, key=len),
                labels=kept[at].labels or answer.labels,
                picture=kept[at].picture or answer.picture,
            )
    return [replace(answer, rank=rank) for rank, answer in enumerate(kept[:limit], start=1)]


def clock(seconds: float) -> str:
    """Return `mm:ss`, or `h:mm:ss` from an hour on."""
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes:02}:{whole % 60:02}"


def _place(document: Mapping[str, Any], lines: Lines) -> str:
    for first, last in _TIMES:
        start, end = document.get(first), document.get(last)
        if isinstance(start, (int, float)) and isinstance(end, (int, float)):
            return f"{clock(start)}-{clock(math.ceil(end))}"
    if isinstance(document.get("timestamp"), (int, float)):
        return clock(document["timestamp"])
    if document.get("file_path") and isinstance(document.get("start_line"), int):
        return f"{document['file_path']}, lines {document['start_line']}-{document['end_line']}"
    if isinstance(page := document.get("page_number"), int) and document.get("total_pages") != 1:
        return f"page {page} of {document['total_pages']}" if document.get("total_pages") else f"page {page}"
    if found := lines.of(document):
        return f"line {found[0]}" if found[0] == found[1] else f"lines {found[0]}-{found[1]}"
    return ""


def _labels(document: Mapping[str, Any]) -> tuple[str, ...]:
    given = [each for each in document.get("labels") or () if isinstance(each, Mapping) and "label" in each]
    sure = [f"{each['label']} {each['confidence']:.0%}" for each in given if each["confidence"] >= _LEAST_CONFIDENCE]
    return tuple(sure[:_LABELS_SHOWN])


def _filename(document: Mapping[str, Any]) -> str | None:
    blobs = (document.get("_internal") or {}).get("source_blobs") or document.get("source_blobs") or ()
    return next((str(each["filename"]) for each in blobs if each.get("filename")), None)


def _fetched_text(url: str) -> str | None:
    data = fetched(url, limit_bytes=_LONGEST_TEXT_BYTES)
    return None if data is None else data.decode(encoding(data), errors="replace")


def fetched(url: str, *, limit_bytes: int) -> bytes | None:
    """Return what a link gives, or None: an answer is worth showing without it."""
    data = bytearray()
    try:
        with httpx2.stream("GET", url, timeout=_TIMEOUT, trust_env=False) as answer:
            if not answer.is_success:
                return None
            for piece in answer.iter_bytes():
                data += piece
                if len(data) > limit_bytes:
                    return None
    except (httpx2.HTTPError, httpx2.InvalidURL):
        return None
    return bytes(data)

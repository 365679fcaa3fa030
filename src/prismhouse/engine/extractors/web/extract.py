"""Pages become documents: one each, or one for each chunk, with what stands in it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.generation import PromptQueue, ask_shape
from prismhouse.engine.extractors.pictures import DECODED_AT_ONCE, look
from prismhouse.engine.extractors.port import (
    ErrorType,
    ExtractedDocument,
    FloatArray,
    Row,
    RowFailure,
    RowResult,
)
from prismhouse.engine.extractors.rows import guarded, parts, settled
from prismhouse.engine.extractors.splitting import Chunk, SplitRule, split
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import CONSE, EFFICIENTNET, MINILM
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.image import Picture
from prismhouse.engine.web.decode import read_picture, unseen
from prismhouse.engine.web.found import Asset, Code, Crawled, Page, Shown

__all__ = ["WebExtractor"]

_EMBED_CHUNKS = 1024
_LEAST_LENGTH = 1e-6
_Placed = TypeVar("_Placed", Code, Shown, Asset)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A picture that was looked at: its vectors and what is in it."""

    vectors: Mapping[str, FloatArray]
    labels: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """A document before its vectors: the chunk `index` of `total` of a page, and what stands in it."""

    page: Page
    number: int
    text: str
    index: int
    total: int
    code: Sequence[Code]
    images: Sequence[Shown]
    assets: Sequence[Asset]


@dataclass(frozen=True, slots=True)
class WebExtractor:
    """Makes documents of crawls; fetches nothing."""

    parameters: Mapping[str, Any]
    resources: Resources

    def __call__(self, rows: Sequence[Row]) -> list[RowResult]:
        return guarded(rows, lambda some: [self._row(row) for row in some])

    def _row(self, row: Row) -> RowResult:
        crawled = next((part.value for part in parts(row, "crawl")), None)
        if not isinstance(crawled, Crawled):
            message = "Its pages were not fetched before. Run it in a batch, whose worker crawls the site first."
            raise MediaFault("not_crawled", message)
        failures = [*crawled.failures]
        seen = self._pictures(crawled, failures)
        pieces = self._pieces(crawled)
        documents: list[ExtractedDocument] = []
        while group := [*islice(pieces, _EMBED_CHUNKS)]:
            documents += self._documents(group, seen)
        if (shape := self.parameters["response_shape"]) is not None:
            queue = PromptQueue(self.resources, model=self.parameters["llm_model"])
            ask_shape(queue, shape, documents, "content", failures)
            queue.flush()
        result = settled(row, documents, failures, empty="The site has no page to keep.")
        if result.skipped is not None:
            result = RowResult(row_id=row.row_id, failure=_nothing(crawled))
        dropped = {"pages": dict(crawled.dropped)} if crawled.dropped else {}
        units = {"page": float(len(crawled.pages)), "image": float(len(seen))}
        return replace(result, dropped=dropped, units=units) if result.documents else result

    def _pieces(self, crawled: Crawled) -> Iterator[_Piece]:
        by_content = self.parameters["document_id_strategy"] == "content"
        known: set[str] = set()
        for number, page in enumerate(crawled.pages):
            chunks = self._chunks(page)
            for index, chunk in enumerate(chunks):
                if by_content:
                    if (digest := _digest(chunk.text, page)) in known:
                        continue
                    known.add(digest)
                after = chunks[index + 1].start if index + 1 < len(chunks) else None
                yield _Piece(
                    page=page,
                    number=number,
                    text=chunk.text,
                    index=index,
                    total=len(chunks),
                    code=_within(page.code_blocks, index, chunk.start, after),
                    images=_within(page.images, index, chunk.start, after),
                    assets=_within(page.assets, index, chunk.start, after),
                )

    def _chunks(self, page: Page) -> list[Chunk]:
        rule = SplitRule(
            by=str(self.parameters["chunk_strategy"]),
            size=self.parameters["chunk_size"],
            overlap=self.parameters["chunk_overlap"],
        )
        return split(page.content, rule) or [Chunk(text="", start=0, end=0)]

    def _pictures(self, crawled: Crawled, failures: list[RowFailure]) -> dict[str, _Seen]:
        """Return what is seen on the pictures of all pages, by address."""
        found = {image.url: image.data for page in crawled.pages for image in page.images if image.data is not None}
        decoded = self._decoded(found, failures)
        seen: dict[str, _Seen] = {}
        while group := [*islice(decoded, DECODED_AT_ONCE)]:
            pictures = [picture for _, picture in group]
            for (url, _), (vectors, labels) in zip(group, look(pictures, self.resources), strict=True):
                seen[url] = _Seen(vectors, labels)
        return seen

    def _decoded(self, found: Mapping[str, bytes], failures: list[RowFailure]) -> Iterator[tuple[str, Picture]]:
        for url, data in found.items():
            try:
                picture = read_picture(data, self.resources.image_pixels)
            except MediaFault as fault:
                failures.append(unseen(url, fault))
            else:
                if picture is not None:
                    yield url, picture

    def _documents(self, pieces: Sequence[_Piece], seen: Mapping[str, _Seen]) -> list[ExtractedDocument]:
        texts = [piece.text for piece in pieces if piece.text.strip()]
        vectors: Iterator[tuple[FloatArray, bool]] = iter(())
        if texts and self.parameters["generate_text_embeddings"]:
            model = loaded(MINILM, threads=self.resources.threads, cache_dir=self.resources.cache_dir)
            made = model.embed_texts(texts)
            vectors = zip(made.vectors, made.truncated, strict=True)
        documents = []
        for piece in pieces:
            text = next(vectors, None) if piece.text.strip() else None
            documents.append(self._document(piece, text, seen))
        return documents

    def _document(
        self, piece: _Piece, text: tuple[FloatArray, bool] | None, seen: Mapping[str, _Seen]
    ) -> ExtractedDocument:
        page = piece.page
        fields: dict[str, Any] = {
            "content": piece.text,
            "title": page.title,
            "page_url": page.url,
            "code_blocks": [{"language": code.language, "code": code.code} for code in piece.code],
            "images": [_shown(image, seen.get(image.url)) for image in piece.images],
            "asset_links": [{"url": asset.url, "text": asset.text} for asset in piece.assets],
            "page_index": piece.number,
            "chunk_index": piece.index,
            "total_chunks": piece.total,
            "crawl_depth": page.depth,
            "parent_url": page.parent,
        }
        if page.left_out:
            fields["left_out"] = dict(page.left_out)
        vectors: dict[str, FloatArray] = {}
        if text is not None:
            vectors[MINILM] = text[0]
            if text[1]:
                fields["embedding_truncated"] = True
        for name, wanted in ((CONSE, "generate_image_embeddings"), (EFFICIENTNET, "generate_structure_embeddings")):
            looked = [seen[image.url].vectors[name] for image in piece.images if image.url in seen]
            if self.parameters[wanted] and (mean := _mean(looked)) is not None:
                vectors[name] = mean
        return ExtractedDocument(position=self._position(piece), fields=fields, vectors=vectors)

    def _position(self, piece: _Piece) -> tuple[str | int, int]:
        match self.parameters["document_id_strategy"]:
            case "position":
                return piece.number, piece.index
            case "content":
                return _digest(piece.text, piece.page), 0
            case _:
                return piece.page.url, piece.index


def _digest(text: str, page: Page) -> str:
    """Pages of pictures alone are told apart by their addresses."""
    return hashlib.sha256((text if text.strip() else page.url).encode()).hexdigest()


def _within(placed: Sequence[_Placed], index: int, start: int, after: int | None) -> list[_Placed]:
    """Return what stands in a chunk: from its start, for the first one from the page's, to the start of the next."""
    first = 0 if index == 0 else start
    return [item for item in placed if item.offset >= first and (after is None or item.offset < after)]


def _shown(image: Shown, seen: _Seen | None) -> dict[str, Any]:
    known = {"url": image.url, "alt": image.alt}
    return known if seen is None else {**known, "labels": [dict(label) for label in seen.labels]}


def _mean(vectors: Sequence[FloatArray]) -> FloatArray | None:
    """Return the direction that vectors share, of unit length."""
    if not vectors:
        return None
    total = np.sum(np.stack(vectors), axis=0, dtype=np.float64)
    length = float(np.linalg.norm(total))
    return None if length < _LEAST_LENGTH else np.asarray(total / length, dtype=np.float32)


def _nothing(crawled: Crawled) -> RowFailure:
    reasons = ", ".join(f"{count} {reason}" for reason, count in crawled.dropped.items()) or "no page had content"
    message = f"The site gave no page to keep: {reasons}."
    code = "noindex" if "noindex" in crawled.dropped else "no_content"
    return RowFailure(stage="fetch", code=code, message=message, error_type=ErrorType.PERMANENT)

"""What comes of a file, and how its words and pictures become one vector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.port import ExtractedDocument, FloatArray, RowFailure
from prismhouse.engine.extractors.text_vectors import mean_vector, text_vectors
from prismhouse.engine.inference.registry import CONSE

__all__ = ["Draft", "Made"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A document on the way. `picture` is the vector of what is seen, which its words are added to.

    `shown` are the pictures of it, as JPEGs, for a model that describes them; none where nothing is described.
    """

    fields: Mapping[str, Any]
    text: str = ""
    picture: FloatArray | None = None
    shown: tuple[bytes, ...] = ()


@dataclass(slots=True)
class Made:
    """Documents of a file, what is missing from them, and how much was left out by kind and reason."""

    drafts: list[Draft] = field(default_factory=list)
    failures: list[RowFailure] = field(default_factory=list)
    dropped: dict[str, dict[str, int]] = field(default_factory=dict)

    def drop(self, kind: str, reason: str, count: int) -> None:
        """Count what was left out."""
        if count > 0:
            reasons = self.dropped.setdefault(kind, {})
            reasons[reason] = reasons.get(reason, 0) + count

    def documents(self, resources: Resources) -> list[ExtractedDocument]:
        """Return the documents with their vectors; all texts are embedded together."""
        worded = text_vectors([draft.text for draft in self.drafts], resources)
        documents = []
        for draft, words in zip(self.drafts, worded, strict=True):
            known = [vector for vector in (draft.picture, words.vector) if vector is not None]
            fields = dict(draft.fields)
            if draft.text:
                fields["text"] = draft.text
            if words.truncated:
                fields["embedding_truncated"] = True
            documents.append(
                ExtractedDocument(
                    position=(fields.get("segment_index", 0), fields.get("page_number", 0)),
                    fields=fields,
                    vectors={CONSE: mean_vector(known)} if known else {},
                )
            )
        return documents

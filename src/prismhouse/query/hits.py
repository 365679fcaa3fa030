"""What flows between stages: documents that stay JSON text until a stage looks inside."""

from __future__ import annotations

from typing import Any

from prismhouse.kit import json

__all__ = ["Hit"]


class Hit:
    """A document in a result set. Its text is parsed at most once, and written again only if it was changed."""

    __slots__ = ("_document", "_text", "document_id", "score")

    def __init__(self, document_id: str, score: float | None, text: str | None) -> None:
        self.document_id = document_id
        self.score = score
        self._text = text
        self._document: dict[str, Any] | None = None

    @property
    def document(self) -> dict[str, Any]:
        """The document as a mapping; call `changed` after writing to it."""
        if self._document is None:
            self._document = json.loads(self._text) if self._text is not None else {}
        return self._document

    def changed(self) -> None:
        """Forget the text: the mapping is what counts now."""
        self._text = None

    def json(self) -> bytes:
        """Return the document as JSON."""
        return self._text.encode() if self._text is not None else json.dumps(self._document)

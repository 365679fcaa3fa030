"""Wire shapes of annotations.

Items of a bulk are typed dictionaries, not models: a thousand of them are read in half the time, and a key that is
absent stays told from one that is null.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, NotRequired, Required

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field
from typing_extensions import TypedDict

from prismhouse.api.web.body import RequestModel

__all__ = [
    "MAX_ITEMS",
    "MAX_PAGE",
    "BulkAnnotations",
    "BulkCreate",
    "BulkUpdate",
    "CreateAnnotation",
    "ListAnnotations",
    "PatchAnnotation",
]

MAX_ITEMS = 1000
MAX_PAGE = 500
# An indexed value must fit in a third of a database page, whatever its letters.
_MAX_ID = 512
# Anything else, numbers and numeric text, would be read as seconds since 1970.
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def _dated(value: Any) -> Any:
    if value is None or (isinstance(value, str) and _DATE.match(value)):
        return value
    message = "must be an ISO 8601 date and time, such as 2026-01-31T12:00:00Z"
    raise ValueError(message)


def _aware(value: datetime | None) -> datetime | None:
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


Id = Annotated[str, Field(max_length=_MAX_ID)]
DocumentId = Annotated[str, Field(min_length=1, max_length=_MAX_ID)]
Label = Annotated[str, Field(min_length=1, max_length=100)]
Confidence = Annotated[float, Field(ge=0, le=1, strict=True, allow_inf_nan=False)]
Reasoning = Annotated[str, Field(max_length=5000)]
Instant = Annotated[datetime | None, BeforeValidator(_dated), AfterValidator(_aware)]
Free = dict[str, Any]


class BulkCreate(TypedDict):
    """One annotation to create."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    document_id: Required[DocumentId]
    label: Required[Label]
    collection_id: NotRequired[Id | None]
    confidence: NotRequired[Confidence | None]
    reasoning: NotRequired[Reasoning | None]
    payload: NotRequired[Free | None]
    metadata: NotRequired[Free | None]
    retriever_id: NotRequired[Id | None]
    execution_id: NotRequired[Id | None]
    stage_name: NotRequired[Id | None]


class BulkUpdate(TypedDict):
    """What to change of one annotation: an absent key leaves the value, null clears it (a label stays)."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    annotation_id: Required[str]
    label: NotRequired[Label | None]
    confidence: NotRequired[Confidence | None]
    reasoning: NotRequired[Reasoning | None]
    payload: NotRequired[Free | None]
    metadata: NotRequired[Free | None]


class BulkAnnotations(RequestModel):
    """Creates, updates and deletes, applied in this order; each stands alone."""

    create: list[BulkCreate] | None = Field(None, max_length=MAX_ITEMS)
    update: list[BulkUpdate] | None = Field(None, max_length=MAX_ITEMS)
    delete: list[str] | None = Field(None, max_length=MAX_ITEMS)


class CreateAnnotation(RequestModel):
    """An annotation to create."""

    document_id: DocumentId
    label: Label
    collection_id: Id | None = None
    confidence: Confidence | None = None
    reasoning: Reasoning | None = None
    payload: Free | None = None
    metadata: Free | None = None
    retriever_id: Id | None = None
    execution_id: Id | None = None
    stage_name: Id | None = None


class PatchAnnotation(RequestModel):
    """What to change: an absent key leaves the value, null clears it (a label stays)."""

    label: Label | None = None
    confidence: Confidence | None = None
    reasoning: Reasoning | None = None
    payload: Free | None = None
    metadata: Free | None = None


class ListAnnotations(RequestModel):
    """Exact matches, all of which must hold; `as_of` asks for the states at an instant."""

    document_id: str | None = None
    collection_id: str | None = None
    label: str | None = None
    actor_id: str | None = None
    retriever_id: str | None = None
    as_of: Instant = None

    def filters(self) -> dict[str, str]:
        """Return the matches that are asked for."""
        return self.model_dump(exclude_none=True, exclude={"as_of"})

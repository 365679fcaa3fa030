"""Wire shapes that all uploads of archives share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from prismhouse.api.web.body import RequestModel

__all__ = ["ConfirmArchive", "Name"]

Name = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z][a-zA-Z0-9_]{2,63}$")]


class ConfirmArchive(RequestModel):
    """Body of a confirmation."""

    etag: str | None = Field(None, max_length=200)
    file_size_bytes: int | None = Field(None, ge=0)

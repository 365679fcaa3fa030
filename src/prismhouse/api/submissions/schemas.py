"""Wire shapes of submissions."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from prismhouse.api.web.body import RequestModel

__all__ = ["ConfirmSubmission", "CreateSubmission"]

LARGEST_BYTES = 500 * 2**20
Name = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z][a-zA-Z0-9_]{2,63}$")]
Version = Annotated[str, StringConstraints(pattern=r"^v?[0-9]{1,9}(\.[0-9]{1,9}){0,2}$")]


class CreateSubmission(RequestModel):
    """Body that asks for a presigned URL."""

    name: Name
    version: Version
    description: str = Field("", max_length=1000)
    file_size_bytes: int | None = Field(None, gt=0, le=LARGEST_BYTES)
    file_name: str | None = Field(None, max_length=200, pattern=r"^[^/\\\x00]+\.zip$")


class ConfirmSubmission(RequestModel):
    """Body of a confirmation."""

    etag: str | None = Field(None, max_length=200)
    file_size_bytes: int | None = Field(None, ge=0)

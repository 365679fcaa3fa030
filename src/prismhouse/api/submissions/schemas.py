"""Wire shapes of submissions."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from prismhouse.api.archives.schemas import Name
from prismhouse.api.web.body import RequestModel

__all__ = ["CreateSubmission"]

LARGEST_BYTES = 500 * 2**20
Version = Annotated[str, StringConstraints(pattern=r"^v?[0-9]{1,9}(\.[0-9]{1,9}){0,2}$")]


class CreateSubmission(RequestModel):
    """Body that asks for a presigned URL."""

    name: Name
    version: Version
    description: str = Field("", max_length=1000)
    file_size_bytes: int | None = Field(None, gt=0, le=LARGEST_BYTES)
    file_name: str | None = Field(None, max_length=200, pattern=r"^[^/\\\x00]+\.zip$")

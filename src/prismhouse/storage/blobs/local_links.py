"""Signed links to blobs on this machine's disk."""

from __future__ import annotations

from collections.abc import Callable

from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.blobs.local_staging import FILE_PATH
from prismhouse.storage.blobs.signing import Signer

__all__ = ["LocalBlobLinks"]


class LocalBlobLinks:
    """The BlobLinks of blobs that our own server hands out."""

    def __init__(self, *, signer: Signer, base_url: Callable[[], str]) -> None:
        self._signer = signer
        self._base_url = base_url

    def get_url(
        self,
        namespace_id: NamespaceId,
        sha256: str,
        *,
        content_type: str | None,
        filename: str | None,
        expires_in_seconds: int,
        md5: str | None = None,
    ) -> str:
        """Return an absolute URL that answers GET and HEAD with the bytes until it expires."""
        parameters = {"namespace_id": str(namespace_id), "sha256": sha256}
        if content_type:
            parameters["content_type"] = content_type
        if filename:
            parameters["filename"] = filename
        if md5:
            parameters["md5"] = md5
        query = self._signer.sign("GET", parameters, expires_in_seconds=expires_in_seconds)
        return f"{self._base_url()}{FILE_PATH}?{query}"

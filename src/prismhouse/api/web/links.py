"""Links by which clients download bytes: an hour long, for whoever may read the row that names the bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.blobs.staging import BlobLinks

__all__ = ["DOWNLOAD_SECONDS", "Downloads"]

DOWNLOAD_SECONDS = 3_600
"""How long a download link lives."""


class Downloads:
    """Makes download links to stored bytes."""

    def __init__(self, links: BlobLinks) -> None:
        self._links = links

    def url(
        self,
        namespace_id: NamespaceId,
        sha256: str,
        *,
        content_type: str | None,
        filename: str | None,
        md5: str | None = None,
    ) -> str:
        """Return an absolute URL; the caller knows that the bytes are in the blob store."""
        return self._links.get_url(
            namespace_id,
            sha256,
            content_type=content_type,
            filename=filename,
            expires_in_seconds=DOWNLOAD_SECONDS,
            md5=md5,
        )

    def of_reference(self, namespace_id: NamespaceId, reference: Mapping[str, Any]) -> str:
        """Return the link to what a document's blob reference names by its checksum."""
        return self.url(
            namespace_id,
            reference["checksum"],
            content_type=reference.get("content_type"),
            filename=reference.get("filename"),
        )

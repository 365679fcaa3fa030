"""Signed URLs of the bucket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from prismhouse.kit.clock import utc_now
from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.blobs.disposition import disposition, sendable_type
from prismhouse.storage.blobs.s3.blobs import S3BlobStore
from prismhouse.storage.blobs.s3.bucket import Bucket
from prismhouse.storage.blobs.s3.sigv4 import LONGEST_SECONDS, presign

__all__ = ["S3Links"]


class S3Links:
    """BlobLinks by signature. With keys of the machine, obstore signs, which binds method, path and expiry alone."""

    def __init__(self, bucket: Bucket, *, blobs: S3BlobStore) -> None:
        self._bucket = bucket
        self._blobs = blobs

    def get_url(
        self,
        namespace_id: NamespaceId,
        sha256: str,
        *,
        content_type: str | None,
        filename: str | None,
        expires_in_seconds: int,
        md5: str | None = None,  # noqa: ARG002 - the bucket knows its own ETag
    ) -> str:
        """Return an absolute URL that answers GET with the bytes until it expires."""
        # Always named: a page that somebody uploaded must not act on the bucket's address.
        query = {
            "response-content-type": sendable_type(content_type),
            "response-content-disposition": disposition(content_type, filename),
        }
        key = self._blobs.key(namespace_id, sha256)
        return self.sign("GET", key, expires_in_seconds=expires_in_seconds, query=query)

    def sign(
        self,
        method: Literal["GET", "PUT"],
        key: str,
        *,
        expires_in_seconds: int,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> str:
        """Return the URL of a complete key for one method, headers and query bound."""
        place = self._bucket.place
        if place.credentials is None:
            seconds = min(max(expires_in_seconds, 1), LONGEST_SECONDS)
            return self._bucket.presign(method, key, expires_in_seconds=seconds)
        return presign(
            method,
            f"{place.public_base}/{key}",
            credentials=place.credentials,
            region=place.region,
            now=utc_now(),
            expires_in_seconds=expires_in_seconds,
            headers=headers,
            query=query,
        )

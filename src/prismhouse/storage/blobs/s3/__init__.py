"""Blobs, staged files and links in an S3-compatible bucket.

    bucket.py    requests to the bucket, with limits, and what their failures mean
    sigv4.py     signed URLs that bind what a client may send
    keys.py      staged keys as names that every S3 server takes
    blobs.py     the BlobStore      staging.py  the Staging      links.py  the BlobLinks

Under the prefix lie `blobs/` (content-addressed), `uploads/` (what clients put) and `incoming/` (on its way from one
to the other, under random names).
"""

from prismhouse.storage.blobs.s3.blobs import S3BlobStore
from prismhouse.storage.blobs.s3.bucket import Bucket, StorageUnavailable
from prismhouse.storage.blobs.s3.links import S3Links
from prismhouse.storage.blobs.s3.place import Place, PlaceMalformed, place_of
from prismhouse.storage.blobs.s3.staging import S3Staging

__all__ = [
    "Bucket",
    "Place",
    "PlaceMalformed",
    "S3BlobStore",
    "S3Links",
    "S3Staging",
    "StorageUnavailable",
    "place_of",
]

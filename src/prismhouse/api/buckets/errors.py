"""What can go wrong with a bucket."""

from __future__ import annotations

from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["BucketGone", "BucketLocked", "BucketNameTaken", "BucketNotActive", "BucketNotFound"]


class BucketNotFound(WarehouseError):
    """No bucket {id} in this namespace."""

    code = Code.NOT_FOUND
    hint = "List buckets, or check the X-Namespace header."


class BucketNameTaken(WarehouseError):
    """A bucket named {bucket_name} exists in this namespace."""

    code = Code.ALREADY_EXISTS
    hint = "Choose another name, or use the bucket that is there."
    wire_code = "bucket_name_taken"


class BucketNotActive(WarehouseError):
    """Bucket {bucket_id} is {status} and takes no new objects, uploads or batches."""

    code = Code.BAD_REQUEST
    hint = "Use an active bucket."


class BucketGone(WarehouseError):
    """Bucket {bucket_id} is being deleted."""

    code = Code.CONFLICT
    hint = "Poll the deletion's task, or create a bucket under another name."


class BucketLocked(WarehouseError):
    """Bucket {bucket_id} is locked."""

    code = Code.CONFLICT
    hint = "Pass force_foreclose=true to delete it all the same."

"""What a user can do with collections. `collections.py` is the service, `define.py` what creation works out."""

from prismhouse.api.collections.service.collections import Collections, Counted
from prismhouse.api.collections.service.define import Buckets, Catalogue, Registry
from prismhouse.api.collections.service.errors import (
    CollectionBusy,
    CollectionNameTaken,
    CollectionNotFound,
    ImmutableField,
)

__all__ = [
    "Buckets",
    "Catalogue",
    "CollectionBusy",
    "CollectionNameTaken",
    "CollectionNotFound",
    "Collections",
    "Counted",
    "ImmutableField",
    "Registry",
]

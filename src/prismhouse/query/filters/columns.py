"""Where the names in a filter live: in a table's columns, and in the record as the API shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "Columns",
    "Kind",
    "Place",
    "document_columns",
    "object_columns",
    "retriever_columns",
    "task_columns",
    "upload_columns",
]

Path = tuple[str, ...]


class Kind(StrEnum):
    """How a place compares: JSON values by their type; identifiers exactly, letter case included; times as times.

    A time has no one spelling, so no text operator finds it.
    """

    JSON = "json"
    TEXT = "text"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Place:
    """One place a field may be. `sql` is an expression of ours (never null for JSON), `path` leads into its value.

    `shown` is the path of the same value in the record that the API answers with.
    """

    kind: Kind
    sql: str
    path: Path
    shown: Path
    indexed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Names to places. A field with several places is the first of them that is there.

    Attributes:
        exact: whole names that are columns.
        prefixes: first segments that are JSON columns of their own, with where they are shown.
        root: the JSON column that holds every other name.
        searchable: a tsvector over the strings of `root`, for finding equal strings without a scan.
        annotated: the alias of the table `documents`, where annotations can be asked for.
        keyed: fields with an index on their key, see `keys`.
    """

    exact: Mapping[str, Place]
    prefixes: Mapping[str, tuple[str, Path]]
    root: str
    root_shown: Path = ()
    searchable: str | None = None
    annotated: str | None = None
    keyed: frozenset[str] = frozenset()

    def places(self, field: str) -> tuple[Place, ...]:
        """Return where `field` may be, the preferred place first."""
        path = tuple(field.split("."))
        column = self.exact.get(field)
        if column is not None and field not in {"created_at", "updated_at"}:
            return (column,)
        found = [self._json(path)]
        if path[0] == "metadata" and len(path) > 1:
            found.append(self._json(path[1:]))
        if column is None and len(path) == 2 and path[0] == "metadata":
            column = self.exact.get(path[1]) if path[1] in {"created_at", "updated_at"} else None
        return (*found, column) if column is not None else tuple(found)

    def _json(self, path: Path) -> Place:
        if path[0] in self.prefixes:
            expression, shown = self.prefixes[path[0]]
            return Place(Kind.JSON, expression, path[1:], (*shown, *path[1:]))
        return Place(Kind.JSON, self.root, path, (*self.root_shown, *path), indexed=self.searchable is not None)


_LINEAGE = {
    "root_object_id": "root_object_id",
    "root_bucket_id": "root_bucket_id",
    "source_type": "source_type",
    "source_object_id": "source_object_id",
    "source_document_id": "source_document_id",
    "source_collection_id": "source_collection_id",
    "lineage_path": "path",
}


def document_columns(alias: str = "d") -> Columns:
    """Return the places of a document's fields; `alias` names the table `documents` in the statement."""
    exact: dict[str, Place] = {}
    for column, shown in _LINEAGE.items():
        place = Place(Kind.TEXT, f"{alias}.{column}", (), ("_internal", "lineage", shown))
        exact |= {column: place, f"_internal.lineage.{shown}": place}
    exact["object_id"] = exact["root_object_id"]
    exact["bucket_id"] = exact["root_bucket_id"]
    for column in ("document_id", "collection_id"):
        place = Place(Kind.TEXT, f"{alias}.{column}", (), (column,))
        exact |= {column: place, f"_internal.{column}": place}
    for column in ("batch_id", "content_hash"):
        place = Place(Kind.TEXT, f"{alias}.{column}", (), ("_internal", column))
        exact |= {column: place, f"_internal.{column}": place}
    for column in ("created_at", "updated_at"):
        place = Place(Kind.TIME, f"{alias}.{column}", (), ("_internal", column))
        exact |= {column: place, f"_internal.{column}": place}
    return Columns(
        exact=exact,
        prefixes={
            "_internal": (f"{alias}.internal", ("_internal",)),
            "document_blobs": (f"{alias}.document_blobs", ("document_blobs",)),
            "source_blobs": (f"{alias}.source_blobs", ("_internal", "source_blobs")),
        },
        root=f"{alias}.payload",
        searchable=f"{alias}.searchable",
        annotated=alias,
    )


def object_columns(alias: str = "o") -> Columns:
    """Return the places of an object's fields; `alias` names the table `objects` in the statement."""
    exact = {
        column: Place(Kind.TEXT, f"{alias}.{column}", (), (column,))
        for column in ("object_id", "bucket_id", "key_prefix", "status", "content_hash", "lifecycle_state")
    }
    for column in ("created_at", "updated_at"):
        exact[column] = Place(Kind.TIME, f"{alias}.{column}", (), (column,))
    return Columns(
        exact=exact,
        prefixes={"metadata": (f"coalesce({alias}.metadata, '{{}}')", ("metadata",))},
        root=f"{alias}.fields",
    )


def retriever_columns(alias: str = "r") -> Columns:
    """Return the places of a retriever's fields; `alias` names the table `retrievers` in the statement."""
    texts = ("retriever_id", "retriever_name", "created_by", "updated_by")
    exact = {column: Place(Kind.TEXT, f"{alias}.{column}", (), (column,)) for column in texts}
    for column in ("created_at", "updated_at"):
        exact[column] = Place(Kind.TIME, f"{alias}.{column}", (), (column,))
    exact["version"] = Place(Kind.JSON, f"to_jsonb({alias}.version)", (), ("version",))
    return Columns(exact=exact, prefixes={}, root=f"{alias}.definition")


def task_columns() -> Columns:
    """Return the places of a task's fields, in a statement that reads the table `tasks` alone."""
    exact = {name: Place(Kind.TEXT, name, (), (name,)) for name in ("task_id", "task_type", "status", "namespace_id")}
    exact |= {name: Place(Kind.TIME, name, (), (name,)) for name in ("created_at", "updated_at")}
    return Columns(exact=exact, prefixes={}, root="'{}'::jsonb")


def upload_columns(alias: str = "u") -> Columns:
    """Return the places of an upload's fields; a name that is none of them is looked for in its metadata."""
    texts = ("upload_id", "bucket_id", "status", "etag", "s3_key", "object_id", "task_id")
    times = ("created_at", "updated_at", "expires_at", "completed_at", "verified_at")
    exact = {column: Place(Kind.TEXT, f"{alias}.{column}", (), (column,)) for column in texts}
    exact |= {column: Place(Kind.TIME, f"{alias}.{column}", (), (column,)) for column in times}
    exact["file_hash"] = Place(Kind.TEXT, f"coalesce({alias}.file_hash, {alias}.sha256)", (), ("file_hash",))
    for column in (
        "filename",
        "content_type",
        "file_size_bytes",
        "blob_property",
        "blob_type",
        "create_object_on_confirm",
        "skip_duplicates",
        "is_duplicate",
        "duplicate_of_upload_id",
    ):
        exact[column] = Place(Kind.JSON, f"coalesce(to_jsonb({alias}.{column}), 'null')", (), (column,))
    return Columns(
        exact=exact,
        prefixes={
            "metadata": (f"{alias}.metadata", ("metadata",)),
            "object_metadata": (f"{alias}.object_metadata", ("object_metadata",)),
        },
        root=f"{alias}.metadata",
        root_shown=("metadata",),
    )

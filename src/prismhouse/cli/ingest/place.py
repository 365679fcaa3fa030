"""Where files go: the namespace, the bucket and its collections, made where they are missing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from prismhouse.cli.batch.server import NotFound, Refused, Server
from prismhouse.cli.ingest.recipes import Recipe, further, recipes
from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["Place", "Taken", "bucket_name_of", "catalogue", "collection_name_of", "settle"]

_FIELDS = {name: {"type": name} for name in ("text", "image", "audio", "video", "pdf")} | {
    name: {"type": "string"} for name in ("path", "kind", "content_hash")
}
_FIELDS["code"] = {"type": "binary"}
_FOLDER = "ingested_folder"
_LONGEST_NAME = 80


class Taken(WarehouseError):
    """The bucket {bucket} {reason}."""

    code = Code.CONFLICT
    hint = "Name another one with --bucket."


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The bucket that takes the files, and the collections by kind. `refused` says why a kind has none.

    `more` are the ids of the collections of further extractors, with the extractor in words; `new` are those of them
    that were made now, by kind; `left_out` says why others have none.
    """

    bucket_id: str
    bucket_name: str
    collections: Mapping[str, str]
    refused: Mapping[str, str]
    made: tuple[str, ...]
    more: Mapping[str, str] = field(default_factory=dict)
    new: Mapping[str, Sequence[str]] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)


def bucket_name_of(folder: Path) -> str:
    """Return the name of a folder as a bucket may have it."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", folder.name).strip("-").lower()[:_LONGEST_NAME]
    return name if len(name) >= 3 else f"files-{name}".rstrip("-")


def collection_name_of(prefix: str, kind: str) -> str:
    """Return the name of the collection of a kind, or of a kind and a further extractor."""
    return f"{prefix}-{kind}"


def catalogue(server: Server) -> list[dict[str, Any]]:
    """Return the entries of the extractors that the server has now."""
    return cast("list[dict[str, Any]]", server.get("/v1/collections/features/extractors"))


def settle(
    server: Server,
    namespace: str,
    folder: Path,
    *,
    bucket: str | None,
    prefix: str | None,
    transcribe: bool,
    kinds: Iterable[str],
    more: Sequence[str] = (),
) -> Place:
    """Go into the namespace and return where files of these kinds go; raise Taken, and as `Server` does."""
    made: list[str] = []
    entries = catalogue(server)
    wanted = {kind: recipe for kind, recipe in recipes(entries, transcribe=transcribe).items() if kind in kinds}
    besides = further(entries, more, wanted)
    _enter(server, namespace, [*wanted.values(), *besides.values()], made)
    name = bucket or bucket_name_of(folder)
    bucket_id = _bucket(server, name, folder, made, named=bucket is not None)
    collections: dict[str, str] = {}
    refused: dict[str, str] = {}
    new: dict[str, list[str]] = {}
    for called, recipe in {**wanted, **besides}.items():
        before = len(made)
        whole = collection_name_of(prefix or bucket_name_of(Path(name)), called)
        try:
            collections[called] = _collection(server, whole, bucket_id, recipe, made)
        except Refused as error:
            refused[called] = error.message
        else:
            if called in besides and len(made) > before:
                new.setdefault(recipe.kind, []).append(collections[called])
    return Place(
        bucket_id=bucket_id,
        bucket_name=name,
        collections={kind: collections[kind] for kind in wanted if kind in collections},
        refused={kind: refused[kind] for kind in wanted if kind in refused},
        made=tuple(made),
        more={
            collections[called]: recipe.extractor.removesuffix("_extractor").replace("_", " ")
            for called, recipe in besides.items()
            if called in collections
        },
        new=new,
        left_out={called: refused[called] for called in besides if called in refused},
    )


def _enter(server: Server, namespace: str, wanted: Iterable[Recipe], made: list[str]) -> None:
    # Without a list of extractors it has them all.
    found, new = _there(server, "/v1/namespaces", namespace, {"namespace_name": namespace})
    if new:
        made.append(f"namespace {namespace}")
    server.namespace = str(found["namespace_id"])
    has = {(each["feature_extractor_name"], each["version"]) for each in found["feature_extractors"] or ()}
    missing = {(each.extractor, each.version) for each in wanted} - has
    if missing:
        added = [{"feature_extractor_name": name, "version": version} for name, version in sorted(missing)]
        server.patch(f"/v1/namespaces/{server.namespace}", {"feature_extractors": added})


def _bucket(server: Server, name: str, folder: Path, made: list[str], *, named: bool) -> str:
    body = {
        "bucket_name": name,
        "description": f"Files of {folder}",
        "bucket_schema": {"properties": _FIELDS},
        "unique_key": {"fields": ["path", "content_hash"], "default_policy": "upsert"},
        "metadata": {_FOLDER: str(folder)},
    }
    found, new = _there(server, "/v1/buckets", name, body)
    if new:
        made.append(f"bucket {name}")
    properties = (found["bucket_schema"] or {}).get("properties", {})
    if _FOLDER in (found["metadata"] or {}) and "code" not in properties:  # made before archives were taken
        properties = {**properties, "code": _FIELDS["code"]}
        server.patch(f"/v1/buckets/{found['bucket_id']}", {"bucket_schema": {"properties": properties}})
    if missing := sorted(
        field for field, each in _FIELDS.items() if properties.get(field, {}).get("type") != each["type"]
    ):
        raise Taken(bucket=name, reason=f"is not one of `prismhouse ingest`: it has no {', '.join(missing)}")
    other = (found["metadata"] or {}).get(_FOLDER)
    if other != str(folder) and not named:
        raise Taken(bucket=name, reason=f"holds the files of {other}, not those of {folder}")
    return str(found["bucket_id"])


def _collection(server: Server, name: str, bucket_id: str, recipe: Recipe, made: list[str]) -> str:
    found, new = _there(server, "/v1/collections", name, _body(name, bucket_id, recipe))
    if new:
        made.append(f"collection {name} ({recipe.extractor} {recipe.version})")
    if bucket_id not in (found["source"].get("bucket_ids") or ()):
        raise Refused(status=409, reason=f"The collection {name} is of another bucket; set --collections.")
    return str(found["collection_id"])


def _there(server: Server, path: str, name: str, body: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return what has the name, made if it is missing, and whether it was made now."""
    at = f"{path}/{quote(name, safe='')}"
    try:
        return server.get(at), False
    except NotFound:
        pass
    try:
        return server.post(path, body), True
    except Refused:
        # Another run may have made it in between; else the refusal stands.
        try:
            return server.get(at), False
        except NotFound:
            pass
        raise


def _body(name: str, bucket_id: str, recipe: Recipe) -> dict[str, Any]:
    return {
        "collection_name": name,
        "source": {
            "type": "bucket",
            "bucket_ids": [bucket_id],
            "source_filters": {"filters": {"AND": [{"field": "kind", "operator": "eq", "value": recipe.kind}]}},
        },
        "feature_extractor": {
            "feature_extractor_name": recipe.extractor,
            "version": recipe.version,
            "input_mappings": {recipe.entry_input: recipe.medium},
            "parameters": dict(recipe.parameters),
            "field_passthrough": [{"source_path": field} for field in ("path", "kind")],
        },
    }

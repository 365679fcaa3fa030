"""Stored objects and upstream documents become rows for an extractor, and what a document inherits from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from prismhouse.engine.extractors.port import ErrorType, Part, Row, RowFailure

__all__ = [
    "Mapped",
    "Source",
    "SourceBlob",
    "SourceMapping",
    "build_row",
    "inherited_fields",
    "projected",
    "strip_path",
]

_MISSING: Any = object()
_PREFIXES = ("$.payload.", "$.", "payload.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceBlob:
    """A file or text of a source. Bytes come as `text`, `path` or `data`; `reference` is what documents tell of it."""

    property: str
    type: str
    text: str | None = None
    path: Path | None = None
    data: bytes | None = None
    mime_type: str | None = None
    filename: str | None = None
    blob_id: str | None = None
    url: str | None = None
    size_bytes: int | None = None

    def part(self) -> Part:
        """Return it as an extractor takes it."""
        return Part(
            type=self.type,
            text=self.text,
            path=self.path,
            data=self.data,
            mime_type=self.mime_type,
            filename=self.filename,
            blob_id=self.blob_id,
            url=self.url,
            size_bytes=self.size_bytes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An object, or a document of an earlier tier: fields at its root, metadata, blobs."""

    source_id: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    blobs: Sequence[SourceBlob] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMapping:
    """How a collection feeds its extractor.

    `inputs` holds, per extractor input, the source paths; `required` those that must be there. With none required,
    at least one must be. `passthrough` entries have source_path, target_path, default and required.
    """

    inputs: Mapping[str, Sequence[str]]
    required: frozenset[str] = frozenset()
    passthrough: Sequence[Mapping[str, Any]] = ()
    include_all_source_fields: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """A row and the fields that its documents inherit; or why there is none."""

    source_id: str
    row: Row | None = None
    inherited: Mapping[str, Any] = field(default_factory=dict)
    failure: RowFailure | None = None


def strip_path(path: str) -> str:
    """Return the path without the prefixes that mean the root."""
    for prefix in _PREFIXES:
        if path.startswith(prefix):
            return path.removeprefix(prefix)
    return path


def build_row(source: Source, mapping: SourceMapping) -> Mapped:
    """Return the row of a source, or the failure that names what it lacks."""
    inputs: dict[str, Part | Sequence[Part]] = {}
    for name, paths in mapping.inputs.items():
        parts = [part for path in paths for part in _parts(source, strip_path(path))]
        if parts:
            inputs[name] = parts[0] if len(parts) == 1 else parts
    missing = sorted(mapping.required - inputs.keys()) or ([] if inputs else sorted(mapping.inputs))
    if missing:
        paths = ", ".join(path for name in missing for path in mapping.inputs.get(name, (name,)))
        return _failed(source, "missing_input", f"It has no value at {paths}, which the input {missing[0]} needs.")
    inherited, lacking = inherited_fields(source, mapping)
    if lacking:
        return _failed(
            source, "missing_field", f"It has no value at {', '.join(lacking)}, a required passthrough field."
        )
    return Mapped(source_id=source.source_id, row=Row(row_id=source.source_id, inputs=inputs), inherited=inherited)


def inherited_fields(source: Source, mapping: SourceMapping) -> tuple[dict[str, Any], list[str]]:
    """Return the fields that documents take over, nested as their targets say, and the required ones missing."""
    fields: dict[str, Any] = dict(source.fields) if mapping.include_all_source_fields else {}
    lacking = []
    for entry in mapping.passthrough:
        path = strip_path(entry["source_path"])
        value = _value(source, path)
        if value is _MISSING or value is None:
            if entry.get("required"):
                lacking.append(path)
                continue
            if (value := entry.get("default")) is None:
                continue
        _place(fields, entry.get("target_path") or path.rsplit(".", 1)[-1], value)
    return fields, lacking


def _place(fields: dict[str, Any], path: str, value: Any) -> None:
    """Set a nested field; what the source holds on the way is copied, and gives way where it is no object."""
    *parents, last = path.split(".")
    for name in parents:
        held = fields.get(name)
        fields[name] = dict(held) if isinstance(held, Mapping) else {}
        fields = fields[name]
    fields[last] = value


def projected(source: Source, entries: Sequence[Mapping[str, Any]]) -> Source:
    """Return the source with fields added under the names that its collection uses (a `field_map`)."""
    if not entries:
        return source
    added, _ = inherited_fields(source, SourceMapping(inputs={}, passthrough=entries))
    return replace(source, fields={**source.fields, **added})


def _failed(source: Source, code: str, message: str) -> Mapped:
    failure = RowFailure(stage="input", code=code, message=message, error_type=ErrorType.PERMANENT)
    return Mapped(source_id=source.source_id, failure=failure)


def _parts(source: Source, path: str) -> list[Part]:
    if blobs := [blob.part() for blob in source.blobs if blob.property == path]:
        return blobs
    value = _plain(source, path)
    if value is _MISSING or value is None:
        return []
    if isinstance(value, str):
        return [Part(type="text", text=value, value=value)]
    return [Part(type=_type_of(value), value=value)]


def _value(source: Source, path: str) -> Any:
    """A plain value first: where a root field and a blob share a name, the field is what a document should show."""
    if (value := _plain(source, path)) is not _MISSING:
        return value
    for blob in source.blobs:
        if blob.property == path:
            return blob.text if blob.text is not None else blob.url
    return _MISSING


def _plain(source: Source, path: str) -> Any:
    value = _dig(source.fields, path)
    if value is _MISSING and path.startswith("metadata."):
        return _dig(source.metadata, path.removeprefix("metadata."))
    return _dig(source.metadata, path) if value is _MISSING else value


def _dig(tree: Any, path: str) -> Any:
    if isinstance(tree, Mapping) and path in tree:
        return tree[path]
    for name in path.split("."):
        if isinstance(tree, Mapping) and name in tree:
            tree = tree[name]
        elif isinstance(tree, Sequence) and not isinstance(tree, str) and name.isdigit() and int(name) < len(tree):
            tree = tree[int(name)]
        else:
            return _MISSING
    return tree


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "array" if isinstance(value, Sequence) else "json"

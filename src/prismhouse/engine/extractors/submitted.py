"""Extractors sent in as code (.zip): looked through without running any of it. Called in a compute process.

`manifest.py` is read as literals. The scan names what may not stand in the code; it is a help to who reads the code
before installing it, no proof that the code is harmless.
"""

from __future__ import annotations

import ast
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prismhouse.engine.inference.archive import ArchiveRefused, checked_name
from prismhouse.engine.media.zipped import directory_bytes, most_directory_bytes

__all__ = ["Examined", "SubmissionLimits", "examine"]

_SOURCE_BYTES = 1 << 20
_SMALL_BYTES = 16 << 20
_COMPRESSIONS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""Of bzip2 and LZMA some bytes unpack to gigabytes at one go."""

_MODULES = frozenset({"subprocess", "ctypes", "socket", "multiprocessing", "importlib", "builtins", "pty", "pickle"})
_NAMES = frozenset({"eval", "exec", "open", "compile", "setattr", "delattr", "__import__", "__builtins__"})
_ATTRIBUTES = frozenset(
    {
        "__import__",
        "__builtins__",
        "__subclasses__",
        "__globals__",
        "system",
        "popen",
        "fork",
        "execv",
        "execve",
        "spawnv",
    }
)
_KEYS = (
    "metadata",
    "input_schema",
    "output_schema",
    "parameter_schema",
    "supported_input_types",
    "features",
    "compute_profile",
)
_METADATA = ("feature_extractor_name", "version")
_FEATURE_KEYS = ("feature_type", "feature_name", "embedding_dim", "distance_metric")
_METRICS = ("cosine", "dot", "euclidean")
_MOST_DIMENSIONS = 65_536
_MOST_FINDINGS = 100


class SubmissionRefused(ArchiveRefused):
    """The archive cannot be used: {reason}"""

    hint = "Send a .zip with manifest.py and pipeline.py: docs/custom-extractors.md."


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionLimits:
    """What an archive may hold. `ratio`: unpacked bytes for each packed one, beyond the first 16 MiB."""

    files: int = 1_000
    size_bytes: int = 2 * 2**30
    ratio: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What was found. `faults` are of the manifest: (path, message). `findings`: file, line and what stands there."""

    manifest: dict[str, Any] = field(default_factory=dict)
    faults: list[tuple[list[str | int], str]] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)


def examine(path: Path, limits: SubmissionLimits) -> Examined:
    """Return what is in an archive; raise ArchiveRefused for one that is none, or is too much."""
    _check_count(path, limits)
    try:
        with zipfile.ZipFile(path) as archive:
            sources = _sources(archive, path.stat().st_size, limits)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise SubmissionRefused(reason=f"it is no whole .zip file ({error}).") from error
    missing = [name for name in ("manifest.py", "pipeline.py") if name not in sources]
    if missing:
        raise SubmissionRefused(reason=f"{' and '.join(missing)} is missing at its top.")
    trees, findings = {}, []
    for name, source in sources.items():
        try:
            trees[name] = ast.parse(source, name)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise SubmissionRefused(reason=f"{name} is no Python ({error}).") from error
        findings += [{"file": name, **finding} for finding in _findings(trees[name])]
    manifest, faults = _manifest(trees["manifest.py"])
    return Examined(manifest=manifest, faults=[*faults, *_faults(manifest)], findings=findings[:_MOST_FINDINGS])


def _check_count(path: Path, limits: SubmissionLimits) -> None:
    """Refuse a long directory before it is read."""
    told = directory_bytes(path)
    if told is None or told > most_directory_bytes(limits.files):
        raise SubmissionRefused(reason=f"it is no .zip file, or holds more than {limits.files} files.")


def _sources(archive: zipfile.ZipFile, packed_bytes: int, limits: SubmissionLimits) -> dict[str, bytes]:
    most = min(limits.size_bytes, max(_SMALL_BYTES, packed_bytes * limits.ratio))
    seen: set[str] = set()
    sources: dict[str, bytes] = {}
    if sum(member.file_size for member in archive.infolist()) > most or len(archive.infolist()) > limits.files:
        raise SubmissionRefused(reason=f"it unpacks to more than {most} bytes or {limits.files} files.")
    for member in archive.infolist():
        if member.is_dir():
            continue
        name = checked_name(member.filename)
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG) or member.flag_bits & 1 or name in seen:
            raise SubmissionRefused(reason=f"{name} is a link, encrypted, or in it twice.")
        seen.add(name)
        if name.endswith(".py"):
            if member.file_size > _SOURCE_BYTES:
                raise SubmissionRefused(reason=f"{name} has more than {_SOURCE_BYTES} bytes.")
            sources[name] = _source(archive, member)
    return sources


def _source(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return a file, of which no more is unpacked at a time than it may have: its header may lie."""
    if member.compress_type not in _COMPRESSIONS:
        raise SubmissionRefused(reason=f"{member.filename} is packed in a way that is not read. Use Deflate.")
    with archive.open(member) as file:
        return file.read(_SOURCE_BYTES)


def _manifest(tree: ast.Module) -> tuple[dict[str, Any], list[tuple[list[str | int], str]]]:
    """Return the literals that are assigned at the top of the file."""
    found: dict[str, Any] = {}
    faults: list[tuple[list[str | int], str]] = []
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, value = statement.targets[0], statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            target, value = statement.target, statement.value
        else:
            continue
        if not isinstance(target, ast.Name) or target.id not in (*_KEYS, "manifest"):
            continue
        try:
            read = ast.literal_eval(value)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            faults.append(([target.id], "is no literal: write texts, numbers, lists and mappings, without calls"))
            continue
        if target.id != "manifest":
            found[target.id] = read
        elif isinstance(read, dict):
            found.update({str(key): one for key, one in read.items() if key in _KEYS})
    return found, faults


def _faults(manifest: Mapping[str, Any]) -> Iterator[tuple[list[str | int], str]]:
    metadata = manifest.get("metadata")
    if not isinstance(metadata, dict):
        yield ["metadata"], "is missing, or no mapping"
    else:
        for name in _METADATA:
            if not isinstance(metadata.get(name), str) or not metadata[name]:
                yield ["metadata", name], "is missing, or no text"
    for name in ("input_schema", "output_schema"):
        if not isinstance(manifest.get(name), dict):
            yield [name], "is missing, or no mapping"
    features = manifest.get("features", [])
    if not isinstance(features, list):
        yield ["features"], "is no list"
        return
    for number, feature in enumerate(features):
        yield from _feature_faults(number, feature)


def _feature_faults(number: int, feature: Any) -> Iterator[tuple[list[str | int], str]]:
    expected = ", ".join(_FEATURE_KEYS)
    if not isinstance(feature, dict) or set(feature) != set(_FEATURE_KEYS):
        given = ", ".join(sorted(map(str, feature))) if isinstance(feature, dict) else type(feature).__name__
        yield ["features", number], f"must have exactly the keys {expected}; it has {given or 'none'}"
        return
    size = feature["embedding_dim"]
    if not isinstance(size, int) or isinstance(size, bool) or not 0 < size <= _MOST_DIMENSIONS:
        yield ["features", number, "embedding_dim"], f"must be a number from 1 to {_MOST_DIMENSIONS}"
    if feature["distance_metric"] not in _METRICS:
        yield ["features", number, "distance_metric"], f"must be one of {', '.join(_METRICS)}"


def _findings(tree: ast.Module) -> Iterator[dict[str, Any]]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found = [one.name for one in names if one.name.partition(".")[0] in _MODULES]
            case ast.ImportFrom(module=module, names=names):
                root = (module or "").partition(".")[0]
                found = [str(module)] if root in _MODULES else [one.name for one in names if one.name in _ATTRIBUTES]
            case ast.Name(id=name):
                found = [name] if name in _NAMES or name in _MODULES else []
            case ast.Attribute(attr=name):
                found = [name] if name in _ATTRIBUTES else []
            case _:
                found = []
        for name in found:
            yield {"line": getattr(node, "lineno", 0), "name": name, "message": f"{name} is not allowed in extractors"}

"""Extractors that other Python packages bring, through the entry point group `prismhouse.extractors`.

The name of an entry point is the extractor's id (`name_version`), its object a `Definition`. One that cannot be used
is kept with the reason, so that it can be told; it never keeps the others, or the server, from starting.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import structlog

from prismhouse.engine.extractors.definition import Definition
from prismhouse.engine.extractors.describe import describe
from prismhouse.engine.extractors.parameters import Parameters, validate
from prismhouse.engine.extractors.port import ExtractorRecord, VectorOutput
from prismhouse.engine.inference.registry import all_models
from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["GROUP", "Broken", "ExtractorBroken", "Found", "find"]

GROUP = "prismhouse.extractors"

_ID = re.compile(r"(?P<name>[a-z][a-z0-9_]{2,63})_(?P<version>v[1-9][0-9]{0,2})")
_OUTPUT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_DISTANCES = ("cosine", "dot", "euclidean")
_MOST_DIMENSIONS = 16_000
_log = structlog.get_logger(__name__)


class ExtractorBroken(WarehouseError):
    """The extractor {extractor} of the package {package} cannot be used: {reason}"""

    code = Code.INVALID
    hint = "Correct the package, install it again, and restart the server and its workers."
    wire_code = "feature_extractor_broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """An extractor that was found and cannot be used. `name` and `version` are as far as its entry point tells."""

    name: str
    version: str
    package: str
    reason: str

    @property
    def extractor_id(self) -> str:
        """`name_version`."""
        return f"{self.name}_{self.version}"

    def error(self) -> ExtractorBroken:
        """Return it as what is raised for its use."""
        return ExtractorBroken(extractor=self.extractor_id, package=self.package, reason=self.reason)


@dataclass(frozen=True, slots=True)
class Found:
    """What the installed packages bring."""

    definitions: Sequence[Definition] = ()
    broken: Sequence[Broken] = ()


class _Refused(Exception):
    """Why an extractor cannot be used."""


def find(builtin: Iterable[ExtractorRecord], points: Iterable[EntryPoint] | None = None) -> Found:
    """Return the extractors of the installed packages, those that can be used and those that cannot.

    Imports the packages. A built-in name is refused in every version, and so is an id that a package earlier in the
    alphabet has taken.
    """
    named = entry_points(group=GROUP) if points is None else points
    reserved, taken = {record.name for record in builtin}, set[str]()
    definitions: list[Definition] = []
    broken: list[Broken] = []
    for point in sorted(named, key=lambda one: (_package(one), one.name)):
        try:
            definitions.append(_loaded(point, reserved, taken))
            taken.add(point.name)
        except _Refused as refusal:
            name, _, number = point.name.rpartition("_v")
            fault = Broken(
                name=name if name and number.isdecimal() else point.name,
                version=f"v{number}" if name and number.isdecimal() else "v1",
                package=_package(point),
                reason=str(refusal),
            )
            _log.error("custom extractor refused", extractor=point.name, package=fault.package, reason=fault.reason)
            broken.append(fault)
    return Found(tuple(definitions), tuple(broken))


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value


def _loaded(point: EntryPoint, reserved: Collection[str], taken: Collection[str]) -> Definition:
    match = _ID.fullmatch(point.name)
    if match is None:
        raise _Refused(
            f"{point.name!r} is no extractor id. Call the entry point name_version, such as my_extractor_v1."
        )
    if match["name"] in reserved:
        raise _Refused(f"{match['name']} is the name of a built-in extractor. Choose another one.")
    if point.name in taken:
        raise _Refused("Another package brings an extractor of this name and version. Remove one of them.")
    try:
        made = point.load()
    except (Exception, SystemExit) as error:
        # Foreign code: whatever it raises is told with the extractor, and logged.
        _log.exception("custom extractor could not be imported", extractor=point.name)
        raise _Refused(f"Importing {point.value} raised {type(error).__name__}: {error}.") from error
    if not isinstance(made, Definition):
        raise _Refused(f"{point.value} is of type {type(made).__name__}, not a prismhouse Definition.")
    try:
        _check(made, point.name)
    except _Refused:
        raise
    except Exception as error:
        raise _Refused(f"Its definition raised {type(error).__name__}: {error}.") from error
    return replace(made, record=replace(made.record, source="custom"))


def _check(made: Definition, extractor_id: str) -> None:
    """Raise _Refused for the first thing in a definition that would fail later, in the middle of a batch."""
    record = made.record
    if not isinstance(record, ExtractorRecord):
        raise _Refused(f"Its record is of type {type(record).__name__}, not an ExtractorRecord.")
    if record.extractor_id != extractor_id:
        raise _Refused(f"Its record says {record.extractor_id}, its entry point {extractor_id}. Make them the same.")
    if not (isinstance(made.parameters, type) and issubclass(made.parameters, Parameters)):
        raise _Refused("Its parameters are no subclass of prismhouse's Parameters.")
    if not callable(made.load) or not (made.outputs is None or callable(made.outputs)):
        raise _Refused("Its load, or its outputs, cannot be called.")
    defaults = validate(made.parameters, {})
    if dict(record.default_parameters) != defaults:
        raise _Refused("Its default_parameters are not those of its parameters. Use Class().model_dump(mode='json').")
    if not record.input_types or any(isinstance(kinds, str) or not kinds for kinds in record.input_types.values()):
        raise _Refused('Its input_types must give each input a tuple of types, such as {"text": ("text",)}.')
    if not record.position_fields or not all(_FIELD.fullmatch(name) for name in record.position_fields):
        raise _Refused("Its position_fields must name at least one field; they make the ids of its documents.")
    outputs = record.vector_outputs if made.outputs is None else made.outputs(defaults)
    _check_outputs(outputs, extractor_id)
    try:
        json.dumps(describe(record), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise _Refused(f"Its record cannot be written as JSON: {error}.") from error


def _check_outputs(outputs: Any, extractor_id: str) -> None:
    if not isinstance(outputs, tuple) or not all(isinstance(one, VectorOutput) for one in outputs):
        raise _Refused("Its vector outputs are no tuple of VectorOutput.")
    for one in outputs:
        if not _OUTPUT.fullmatch(one.name) or not _FIELD.fullmatch(one.storage_name):
            raise _Refused(f"The vector output {one.name!r} is not of letters, digits and underscores.")
        if not one.storage_name.startswith(f"{extractor_id}_"):
            raise _Refused(f"The storage_name of {one.name} must begin with {extractor_id}_.")
        if isinstance(one.dimensions, bool) or not 1 <= one.dimensions <= _MOST_DIMENSIONS:
            raise _Refused(
                f"The vector output {one.name} has {one.dimensions} dimensions, not 1 to {_MOST_DIMENSIONS}."
            )
        if one.distance not in _DISTANCES:
            raise _Refused(f"The distance of {one.name} is {one.distance!r}, not one of {', '.join(_DISTANCES)}.")
        if one.query_modalities != ("vector",) and one.model not in all_models():
            raise _Refused(
                f"The vector output {one.name} names the model {one.model!r}, which there is not. Add the model, or say"
                ' query_modalities=("vector",).'
            )
    if len({one.name for one in outputs}) < len(outputs) or len({one.storage_name for one in outputs}) < len(outputs):
        raise _Refused("Two of its vector outputs have the same name.")

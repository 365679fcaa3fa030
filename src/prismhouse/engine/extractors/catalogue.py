"""The extractors there are, found by name and version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from typing import Any

from prismhouse.engine.extractors import (
    audio,
    course,
    document_graph,
    face,
    image,
    multimodal,
    passthrough,
    scrolling,
    text,
    universal,
    web,
)
from prismhouse.engine.extractors.custom import Broken, Found, find
from prismhouse.engine.extractors.definition import Definition
from prismhouse.engine.extractors.describe import describe
from prismhouse.engine.extractors.parameters import validate
from prismhouse.engine.extractors.port import ExtractorRecord
from prismhouse.engine.inference.registry import entry
from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["BUILTIN", "Catalogue", "ExtractorNotFound", "installed"]

BUILTIN = (
    text.DEFINITION,
    image.DEFINITION,
    multimodal.DEFINITION,
    multimodal.DEFINITION_V2,
    document_graph.DEFINITION,
    course.DEFINITION,
    face.DEFINITION,
    audio.DEFINITION,
    universal.DEFINITION,
    scrolling.DEFINITION,
    passthrough.DEFINITION,
    web.DEFINITION,
)


@cache
def installed() -> Found:
    """Return what other packages bring; they are looked for once in a process."""
    return find(item.record for item in BUILTIN)


class ExtractorNotFound(WarehouseError):
    """There is no feature extractor {extractor}."""

    code = Code.NOT_FOUND
    hint = "{suggestion}"
    wire_code = "feature_extractor_not_found"


class Catalogue:
    """Every extractor of this installation: the built-in ones, and those of other packages."""

    def __init__(self, definitions: Sequence[Definition] = BUILTIN, custom: Found | None = None) -> None:
        found = installed() if custom is None else custom
        self._definitions = {item.record.extractor_id: item for item in (*definitions, *found.definitions)}
        self._broken = {item.extractor_id: item for item in found.broken if item.extractor_id not in self._definitions}
        self._all_broken = list(found.broken)

    def all(self) -> list[ExtractorRecord]:
        """Return every extractor, in the order of the catalogue."""
        return [item.record for item in self._definitions.values()]

    def broken(self) -> list[Broken]:
        """Return the extractors of other packages that cannot be used, with the reason."""
        return self._all_broken

    def get(self, name: str, version: str = "v1") -> ExtractorRecord:
        """Return an extractor; raise ExtractorNotFound, which names the close ones."""
        return self.definition(f"{name}_{version}").record

    def by_id(self, extractor_id: str) -> ExtractorRecord:
        """Return the extractor `name_version`; raise ExtractorNotFound."""
        return self.definition(extractor_id).record

    def validate_parameters(self, record: ExtractorRecord, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters with defaults filled in; raise Invalid for unknown, wrong or unserved ones."""
        return validate(self.definition(record.extractor_id).parameters, parameters)

    def configured(self, record: ExtractorRecord, parameters: Mapping[str, Any]) -> ExtractorRecord:
        """Return the record as a collection with these validated parameters has it: what it makes follows from them.

        Raises ModelNotFound for a model of its vectors that is not configured any more.
        """
        definition = self.definition(record.extractor_id)
        if definition.outputs is not None:
            record = replace(record, vector_outputs=definition.outputs(parameters))
        if definition.fields is not None and (told := definition.fields(parameters)):
            properties = {**told, **record.output_schema.get("properties", {})}
            record = replace(record, output_schema={**record.output_schema, "properties": properties})
        return record

    def check(self, extractor_id: str, parameters: Mapping[str, Any]) -> None:
        """Raise for an extractor, or a model of its, that is not here any more; `parameters` were validated once."""
        definition = self.definition(extractor_id)
        complete = {**definition.record.default_parameters, **parameters}
        for output in self.configured(definition.record, complete).vector_outputs:
            if output.model and definition.record.source == "builtin":
                entry(output.model)
        if definition.check is not None:
            definition.check(complete)

    def describe(self, record: ExtractorRecord) -> dict[str, Any]:
        """Return the entry of an extractor as the API answers it."""
        return describe(record)

    def definition(self, extractor_id: str) -> Definition:
        """Return how to run `name_version`; raise ExtractorNotFound, or ExtractorBroken with the reason."""
        found = self._definitions.get(extractor_id)
        if found is None and extractor_id in self._broken:
            raise self._broken[extractor_id].error()
        if found is None:
            close = get_close_matches(extractor_id, self._definitions, n=3, cutoff=0.5)
            known = f"Did you mean {' or '.join(close)}? " if close else ""
            suggestion = f"{known}Available: {', '.join(self._definitions)}."
            raise ExtractorNotFound(extractor=extractor_id, suggestion=suggestion)
        return found

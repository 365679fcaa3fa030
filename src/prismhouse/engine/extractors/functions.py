"""A function as an extractor: the short way for a package of one's own. `Definition` is the long one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from prismhouse.engine.extractors.definition import Definition, Resources
from prismhouse.engine.extractors.parameters import Parameters
from prismhouse.engine.extractors.port import (
    ExtractedDocument,
    Extractor,
    ExtractorRecord,
    FloatArray,
    Part,
    Row,
    RowResult,
    VectorOutput,
)
from prismhouse.engine.extractors.rows import one_by_one, parts, settled

__all__ = ["Function", "from_function"]

Function = Callable[[Part, Mapping[str, Any], Resources], tuple[Mapping[str, Any], Mapping[str, FloatArray]]]
"""Of one input, with the parameters of the collection and what may be used: the fields of its document, its vectors."""


def from_function(
    function: Function,
    *,
    name: str,
    version: str = "v1",
    description: str,
    parameters: type[Parameters],
    reads: Sequence[str],
    fields: Mapping[str, str],
    vectors: Mapping[str, int],
) -> Definition:
    """Return an extractor that makes one document of each input.

    Args:
        function: what is called for each input, in a compute process. What it raises fails the row.
        name: of the extractor.
        version: of the extractor.
        description: for the lists of extractors.
        parameters: with their defaults.
        reads: kinds of inputs, such as `image`; the first is the input's name too.
        fields: of documents, with their JSON types; `input_index`, which counts the inputs of a row, is added.
        vectors: of documents, with their lengths; they are queried by vectors.
    """
    declared = {**fields, "input_index": "integer"}
    record = ExtractorRecord(
        name=name,
        version=version,
        description=description,
        category=reads[0],
        icon="puzzle",
        input_schema={"type": "object", "properties": {reads[0]: {"type": "string"}}, "required": [reads[0]]},
        output_schema={"type": "object", "properties": {field: {"type": kind} for field, kind in declared.items()}},
        parameter_schema=parameters.model_json_schema(),
        default_parameters=parameters().model_dump(mode="json"),
        input_types={reads[0]: tuple(reads)},
        vector_outputs=tuple(
            VectorOutput(
                name=vector,
                storage_name=f"{name}_{version}_{vector}",
                dimensions=length,
                distance="cosine",
                model="",
                query_modalities=("vector",),
                primary=place == 0,
            )
            for place, (vector, length) in enumerate(vectors.items())
        ),
        position_fields=("input_index",),
    )
    return Definition(record=record, parameters=parameters, load=partial(_loaded, function, reads[0]))


def _loaded(function: Function, name: str, parameters: Mapping[str, Any], resources: Resources) -> Extractor:
    def extract(row: Row) -> RowResult:
        documents = []
        for place, part in enumerate(parts(row, name)):
            fields, vectors = function(part, parameters, resources)
            fields = {**fields, "input_index": place}
            documents.append(ExtractedDocument(position=(place,), fields=fields, vectors=vectors))
        return settled(row, documents, [], empty=f"There is no {name}.")

    return lambda rows: one_by_one(rows, extract)

"""Extractors of other packages: what is found, what is refused and why, and what becomes of what they give."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.custom_extractors import bring

from prismhouse.engine.extractors.catalogue import BUILTIN, Catalogue, ExtractorNotFound
from prismhouse.engine.extractors.checked import run_checked
from prismhouse.engine.extractors.custom import ExtractorBroken, Found, find
from prismhouse.engine.extractors.definition import Definition
from prismhouse.engine.extractors.parameters import Parameters
from prismhouse.engine.extractors.port import ExtractedDocument, ExtractorRecord, Row, RowResult, VectorOutput
from prismhouse.engine.media.errors import MediaFault

RECORDS = [item.record for item in BUILTIN]


class SomeParameters(Parameters):
    extractor_type: str = "some_extractor"


def definition(name: str = "some_extractor", **changed: Any) -> Definition:
    output = VectorOutput(
        name="two",
        storage_name=f"{name}_v1_two",
        dimensions=2,
        distance="cosine",
        model="",
        query_modalities=("vector",),
    )
    record = ExtractorRecord(
        name=name,
        version="v1",
        description="For a test.",
        category="text",
        icon="box",
        input_schema={},
        output_schema={},
        parameter_schema={},
        default_parameters={"extractor_type": "some_extractor"},
        input_types={"text": ("text",)},
        vector_outputs=(output,),
        position_fields=("place",),
    )
    return Definition(
        record=replace(record, **changed), parameters=SomeParameters, load=lambda _parameters, _resources: lambda _: []
    )


class Point(EntryPoint):
    """An entry point that gives what it is told to."""

    def load(self) -> Any:
        made = MADE[self.value]
        if isinstance(made, BaseException):
            raise made
        return made


MADE: dict[str, Any] = {}


def points(**made: Any) -> list[EntryPoint]:
    MADE.update({f"module_of_{name}": one for name, one in made.items()})
    return [Point(name=name, value=f"module_of_{name}", group="prismhouse.extractors") for name in made]


def output(**changed: Any) -> tuple[VectorOutput, ...]:
    return (replace(definition().record.vector_outputs[0], **changed),)


def test_an_extractor_is_custom_when_a_package_brings_it() -> None:
    catalogue = Catalogue(custom=find(RECORDS, points(some_extractor_v1=definition())))

    record = catalogue.get("some_extractor", "v1")

    assert record.source == catalogue.describe(record)["source"] == "custom"
    assert {one.source for one in catalogue.all() if one is not record} == {"builtin"}
    assert catalogue.broken() == []


@pytest.mark.parametrize(
    ("name", "made", "reason"),
    [
        ("some_extractor_v1", ImportError("no torch here"), r"raised ImportError: no torch here"),
        ("some_extractor_v1", SystemExit(3), r"raised SystemExit: 3"),
        ("some_extractor_v1", object(), r"of type object, not a prismhouse Definition"),
        ("some_extractor_v1", replace(definition(), record={"name": "x"}), r"of type dict, not an ExtractorRecord"),
        ("some_extractor_v1", replace(definition(), parameters=dict), r"no subclass of prismhouse's Parameters"),
        ("some_extractor_v1", replace(definition(), load=None), r"cannot be called"),
        ("some_extractor_v1", definition(default_parameters={}), r"default_parameters are not those"),
        ("some_extractor_v1", definition(input_types={"text": "text"}), r"input_types"),
        ("some_extractor_v1", definition(position_fields=()), r"position_fields"),
        ("some_extractor_v1", definition(input_schema={"a": object()}), r"written as JSON"),
        ("some_extractor_v1", definition(vector_outputs=output(dimensions=0)), r"0 dimensions"),
        ("some_extractor_v1", definition(vector_outputs=output(distance="near")), r"distance of two is 'near'"),
        ("some_extractor_v1", definition(vector_outputs=output(storage_name="mine")), r"begin with some_extractor_v1_"),
        ("some_extractor_v1", definition(vector_outputs=output(query_modalities=("text",))), r"which there is not"),
        ("some_extractor_v1", definition(vector_outputs=output() * 2), r"the same name"),
        ("some_extractor_v1", definition(vector_outputs=None), r"no tuple of VectorOutput"),
        ("some_extractor_v1", definition("other_extractor"), r"other_extractor_v1, its entry point some_extractor_v1"),
        ("Some-Extractor", definition(), r"is no extractor id"),
        ("text_extractor_v1", definition("text_extractor"), r"name of a built-in extractor"),
        ("text_extractor_v7", definition("text_extractor"), r"name of a built-in extractor"),
    ],
)
def test_an_extractor_is_refused_with_the_reason_when_it_is_wrong(name: str, made: Any, reason: str) -> None:
    found = find(RECORDS, points(**{name: made, "good_extractor_v1": definition("good_extractor")}))

    assert [item.record.name for item in found.definitions] == ["good_extractor"]
    (broken,) = found.broken
    with pytest.raises(ExtractorBroken, match=reason):
        raise broken.error()


def test_the_first_package_has_the_name_when_two_bring_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    MADE["shared"] = definition()
    for module in ("zebra_pack", "aardvark_pack"):
        code = "from tests.unit.engine.test_custom_extractors import MADE\nDEFINITION = MADE['shared']\n"
        bring(tmp_path, module, code, f"some_extractor_v1 = {module}:DEFINITION")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setitem(sys.modules, "tests.unit.engine.test_custom_extractors", sys.modules[__name__])
    named = [point for one in distributions(path=[str(tmp_path)]) for point in one.entry_points]

    found = find(RECORDS, named)

    assert len(found.definitions) == 1
    assert [(one.package, "Another package" in one.reason) for one in found.broken] == [("zebra_pack 1.0", True)]


def test_a_broken_extractor_says_why_when_it_is_asked_for() -> None:
    catalogue = Catalogue(custom=find(RECORDS, points(some_extractor_v2=ValueError("no licence"))))

    with pytest.raises(ExtractorBroken, match="no licence"):
        catalogue.get("some_extractor", "v2")
    with pytest.raises(ExtractorNotFound):
        catalogue.get("some_extractor", "v1")
    assert Catalogue(custom=Found()).broken() == []


def rows(*names: str) -> list[Row]:
    return [Row(row_id=name, inputs={}) for name in names]


def document(**changed: Any) -> ExtractedDocument:
    return replace(
        ExtractedDocument(position=(0,), fields={"a": 1}, vectors={"two": np.ones(2, np.float32)}), **changed
    )


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([document(vectors={"two": np.ones(3, np.float32)})], r"shape \(3,\), not as float32 of shape \(2,\)"),
        ([document(vectors={"two": np.ones(2)})], r"float64"),
        ([document(vectors={"two": [1.0, 2.0]})], r"as list"),
        ([document(vectors={"two": np.array([np.nan, 1], np.float32)})], r"no number"),
        ([document(vectors={"two": np.zeros(2, np.float32)})], r"zeros"),
        ([document(vectors={"three": np.ones(2, np.float32)})], r"its record names two"),
        ([document(fields={"a": object()})], r"no JSON"),
        ([document(fields={"a": float("nan")})], r"no JSON"),
        ([document(fields={"a": "x\x00"})], r"U\+0000"),
        ([document(fields={"a": "\ud800"})], r"no JSON"),
        ([document(position=(0, 1))], r"not a tuple of place"),
        ([document(position=(None,))], r"not of texts and numbers"),
        ([document(), document()], r"two documents of one position"),
        ([{"text": "x"}], r"gave a dict, not an ExtractedDocument"),
    ],
)
def test_a_row_fails_alone_when_what_it_gives_cannot_be_stored(documents: Any, message: str) -> None:
    def extract(some: Sequence[Row]) -> list[RowResult]:
        return [
            RowResult(row_id=row.row_id, documents=documents if row.row_id == "bad" else [document()]) for row in some
        ]

    good, bad = run_checked(extract, definition().record, rows("good", "bad"))

    assert len(good.documents) == 1
    assert bad.failure is not None
    assert bad.failure.code == "bad_result"
    assert pytest.raises(AssertionError, match=message).matches(AssertionError(bad.failure.message))


def test_a_row_fails_alone_when_it_makes_the_extractor_raise() -> None:
    def extract(some: Sequence[Row]) -> list[RowResult]:
        for row in some:
            if row.row_id == "named":
                raise MediaFault("no_good", "It is no good.")
            if row.row_id == "raises":
                raise KeyError("colour")
        return [RowResult(row_id=row.row_id, documents=[document()]) for row in some]

    results = run_checked(extract, definition().record, rows("a", "named", "raises", "b"))

    assert [one.failure.code if one.failure else None for one in results] == [None, "no_good", "unexpected_error", None]
    assert results[2].failure is not None
    assert "KeyError: 'colour'" in results[2].failure.message


@pytest.mark.parametrize("made", [None, [], [RowResult(row_id="other")], [object()]])
def test_rows_fail_with_a_name_when_results_are_not_theirs(made: Any) -> None:
    (result,) = run_checked(lambda _: made, definition().record, rows("a"))

    assert result.failure is not None
    assert result.failure.code == "bad_result"

"""What passthrough keeps of files, values and rows with vectors of their own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from prismhouse.engine.extractors.port import Part, Row, RowResult
from prismhouse.engine.extractors.run import run_rows

_FIELDS = [{"field": "e", "name": "mine", "dimensions": 3, "distance": "cosine"}]


def run(part: Part, **parameters: Any) -> RowResult:
    (result,) = run_rows("passthrough_extractor_v1", parameters, [Row(row_id="r", inputs={"content": part})])
    return result


def lines(*rows: Any) -> Part:
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    return Part(type="json", data=text.encode(), filename="rows.jsonl")


def test_one_document_tells_of_the_file_when_there_are_no_vector_fields() -> None:
    part = Part(type="image", data=b"12345", mime_type="image/png", url="http://x/y", filename="y.png", blob_id="b")

    (document,) = run(part).documents

    assert document.fields == {
        "content_url": "http://x/y",
        "content_type": "image/png",
        "size_bytes": 5,
        "metadata": {"filename": "y.png", "blob_id": "b", "type": "image"},
        "row_index": 0,
    }


def test_metadata_is_left_out_when_not_wanted() -> None:
    (document,) = run(Part(type="text", text="hé"), preserve_metadata=False).documents

    assert document.fields == {"content": "hé", "content_type": "text/plain", "size_bytes": 3, "row_index": 0}


def test_rows_become_documents_with_their_vectors_when_vector_fields_are_given() -> None:
    result = run(lines({"e": [1, 0, 0.5], "title": "a"}, "", {"e": [0, 1, 0], "n": 2}), vector_fields=_FIELDS)

    assert [document.fields for document in result.documents] == [
        {"title": "a", "row_index": 0},
        {"n": 2, "row_index": 2},
    ]
    assert [document.position for document in result.documents] == [(0,), (2,)]
    assert result.documents[0].vectors["mine"].tolist() == [1, 0, 0.5]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("{", "not JSON"),
        ([1], "expected a JSON object, got list"),
        ({"x": 1}, "has no field 'e'"),
        ({"e": "abc"}, "not a list of numbers"),
        ({"e": [1, True, 2]}, "not a list of numbers"),
        ({"e": [1, 2]}, "has 2 numbers, expected 3"),
        ({"e": [1, 2, 1e300]}, "too large"),
        ({"e": [0, 0, 0]}, "all zeros"),
        ({"e": [1, 2, 3], "t": "a\x00"}, "U\\+0000"),
    ],
)
def test_a_bad_row_is_named_and_spares_the_others_when_its_vector_is_wrong(bad: Any, message: str) -> None:
    result = run(lines({"e": [1, 2, 3]}, bad), vector_fields=_FIELDS)

    (failure,) = result.partial_failures
    assert len(result.documents) == 1
    assert failure.message.startswith("Line 2: ")
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(failure.message)


def test_the_row_fails_when_no_line_can_be_used() -> None:
    result = run(lines({"x": 1}), vector_fields=_FIELDS)

    assert result.failure is not None
    assert result.failure.code == "bad_row"


def test_parquet_is_refused_by_name_when_its_bytes_are_given() -> None:
    result = run(Part(type="json", data=b"PAR1\x15\x04"), vector_fields=_FIELDS)

    assert result.failure is not None
    assert "Parquet" in result.failure.message


def test_the_row_is_skipped_when_the_file_is_empty() -> None:
    assert run(lines(""), vector_fields=_FIELDS).skipped == "There is no content."

"""Where a blob says its bytes are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismhouse.api.buckets.model import FieldType
from prismhouse.api.objects.schemas import BlobInput
from prismhouse.api.objects.sources import InlineBytes, InlineText, Remote, checksum_of, source_of
from prismhouse.kit.errors import Invalid


def source(kind: FieldType = FieldType.TEXT, **given: Any) -> Any:
    blob = BlobInput(property="p", type=kind, **given)
    return source_of(blob, kind, ["blob"], max_bytes=1000)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"data": "HTTPS://example.com/a"}, Remote(url="HTTPS://example.com/a")),
        ({"data": {"url": "http://example.com", "filename": "f"}}, Remote(url="http://example.com", filename="f")),
        ({"url": "http://example.com"}, Remote(url="http://example.com")),
        ({"data": "see https://example.com"}, InlineText(text="see https://example.com")),
        ({"data": "https://a.example https://b.example"}, InlineText(text="https://a.example https://b.example")),
        ({"content": "http://example.com"}, InlineText(text="http://example.com")),
        ({"data": "data:,a%20b"}, InlineBytes(data=b"a b", mime_type="text/plain")),
        ({"data": "data:text/html;charset=utf-8;base64,aGk="}, InlineBytes(data=b"hi", mime_type="text/html")),
        ({"data": {"base64": "aG\nk="}}, InlineBytes(data=b"hi")),
        ({"data": ""}, InlineText(text="")),
    ],
)
def test_text_says_what_it_is(given: dict[str, Any], expected: Any) -> None:
    assert source(**given) == expected


@pytest.mark.parametrize(
    "value", [{"base64": 1}, {"url": "x", "base64": "aGk="}, {"text": "a", "other": 1}, 1, True, []]
)
def test_json_may_look_like_anything(value: Any) -> None:
    assert isinstance(source(FieldType.JSON, data=value), InlineText)


@pytest.mark.parametrize(
    "given",
    [
        {"data": "aGk=", "content": "x"},
        {"data": {"base64": "aGk=", "url": "http://x.example"}},
        {"data": {"base64": "aGk=", "colour": "red"}},
        {"data": {}},
        {"data": {"base64": "aGk"}},
        {"data": {"base64": "aGk_"}},
        {"url": "example.com"},
        {"url": "gs://bucket/x"},
        {"data": "data:text/plain;base64,?"},
        {"content": 5},
    ],
)
def test_an_unclear_source_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        source(**given)


def test_a_limit_counts_bytes() -> None:
    assert source(data="ä" * 500)
    with pytest.raises(Invalid, match="at most 1000"):
        source(data="ä" * 501)


@given(st.text())
def test_text_that_is_no_address_is_never_changed(text: str) -> None:
    assert source(content=text) == InlineText(text=text) or text.startswith("data:")


def test_checksums_are_normalized() -> None:
    assert checksum_of("A" * 64, []) == "a" * 64
    assert checksum_of("sha256:" + "A" * 64, []) == "a" * 64
    assert checksum_of(None, []) is None
    with pytest.raises(Invalid):
        checksum_of("a" * 63, [])

"""One spelling for each address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismhouse.engine.web.address import identity, is_asset, joined, normalized, same_site

_PIECES = st.sampled_from(
    [
        "http://",
        "https://",
        "x.test",
        "EXAMPLE.com",
        ":80",
        ":8080",
        "/",
        "//",
        "..",
        ".",
        "%41",
        "%",
        "%2f",
        "%2",
        "?",
        "a=1",
        "&",
        "#",
        "b",
        " ",
        "é",
        "☃",
        "utm_source=x",
        "\\",
        "@",
        "[::1]",
        "\x00",
        "~",
        "%7E",
        "index.html",
    ]
)


@given(st.one_of(st.lists(_PIECES, max_size=12).map("".join), st.text(max_size=60).map("http://host/{}".format)))
def test_normalizing_twice_changes_nothing(url: str) -> None:
    once = normalized(url)

    assert once is None or normalized(once) == once
    assert once is None or once.isascii()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("123")), max_size=4), st.randoms())
def test_the_order_of_a_query_makes_no_other_page(pairs: list[tuple[str, str]], random: object) -> None:
    shuffled = sorted(pairs, key=lambda _: random.random())  # type: ignore[attr-defined]
    one, other = (
        normalized("http://x.test/p?" + "&".join(f"{name}={value}" for name, value in some))
        for some in (pairs, shuffled)
    )

    assert one is not None
    assert other is not None
    assert identity(one) == identity(other)


@pytest.mark.parametrize(
    ("given_url", "wanted"),
    [
        ("HTTP://Example.COM:80", "http://example.com/"),
        ("http://x.test/a/../b/./c#top", "http://x.test/b/c"),
        ("http://x.test/%7euser/%c3%a9?q=a b", "http://x.test/~user/%C3%A9?q=a%20b"),
        ("http://x.test/../..", "http://x.test/"),
        ("http://bücher.example/é", "http://xn--bcher-kva.example/%C3%A9"),
        ("http://x.test./", "http://x.test/"),
        ("http://x.test/%%34%31", "http://x.test/%2541"),
        ("ftp://x.test/", None),
        ("http://user:secret@x.test/", None),
        ("javascript:alert(1)", None),
        ("http://x.test:99999/", None),
        ("http:///nowhere", None),
        ("http://" + "a" * 300 + "/", None),
        ("http://x.test/" + "a" * 3000, None),
    ],
)
def test_an_address_has_one_spelling(given_url: str, wanted: str | None) -> None:
    assert normalized(given_url) == wanted


def test_what_leads_to_the_same_page_is_one_page() -> None:
    same = [
        "http://x.test/a",
        "https://x.test/a/",
        "http://x.test/a#b",
        "http://X.test/a?utm_source=news",
        "http://x.test/b/../a",
    ]

    assert len({identity(normalized(url) or "") for url in same}) == 1
    assert identity("http://x.test/a?b=1") != identity("http://x.test/a")
    assert identity("http://x.test/A") != identity("http://x.test/a")


def test_a_site_is_a_host_with_or_without_www() -> None:
    assert same_site("http://www.x.test/a", "https://x.test/b")
    assert not same_site("http://docs.x.test/", "http://x.test/")
    assert not same_site("http://x.test:8080/", "http://x.test/")
    assert joined("http://x.test/a/", "//other.test/b") == "http://other.test/b"
    assert is_asset("http://x.test/Report.PDF?download=1")
    assert not is_asset("http://x.test/v1.2/intro")

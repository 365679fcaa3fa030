"""HTML is read as a browser shows it, and every word of it knows its place in the file."""

from __future__ import annotations

import time

import pytest

from prismhouse.engine.media.markup import shown
from prismhouse.engine.media.sniff import sniff

PAGE = """<!-- saved -->
<!DOCTYPE html>
<html><head><title>Not shown</title><style>p { color: red }</style>
<script>if (a < b) { document.write("<p>no</p>") }</script></head>
<body>
  <h1>Dear   aunt</h1>
  <p>The <b>lighthouse</b> keeper&#39;s dog
     barks &amp; H<sub>2</sub>O boils.<br>A new line.</p>
  <table><tr><td>one</td><td>two</td></tr></table>
  <pre>keeps
    its  spaces</pre>
</body></html>"""


def test_what_a_browser_shows_is_kept_when_html_is_read() -> None:
    assert shown(PAGE).text == (
        "Dear aunt\n\nThe lighthouse keeper's dog barks & H2O boils.\nA new line.\n\none two\n\nkeeps\n    its  spaces"
    )


@pytest.mark.parametrize("word", ["Dear", "aunt", "lighthouse", "dog", "barks", "2", "boils", "two", "spaces"])
def test_words_know_their_places_when_html_is_read(word: str) -> None:
    page = shown(PAGE)

    place = page.place(page.text.index(word))

    assert PAGE[place : place + len(word)] == word


@pytest.mark.parametrize(
    "text", ["", "<p>", "a < b", "<", "&", "&nosuch; &amp", "<p>never <b>ended", "<!-- never ended"]
)
def test_broken_html_is_read_as_far_as_it_goes(text: str) -> None:
    page = shown(text)

    assert all(0 <= page.place(number) <= len(text) for number in range(len(page.text)))


def test_references_are_letters_and_what_is_none_stays() -> None:
    assert shown("caf&eacute; &#x41;&#66; &nosuch; AT&T").text == "café AB &nosuch; AT&T"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("<svg><title/><text>seen</text></svg>", "seen"),
        ("<?xml version='1.0'?><html><script src='x'/><p>seen</p></html>", "seen"),
        ("<p>one<script/>not seen</script><p>two", "one\n\ntwo"),
        ("<!-->one<!--->two<!-- no --!>three", "onetwothree"),
        ("<svg><style><![CDATA[p {}]]></style><text><![CDATA[a <b> c]]></text></svg>", "a <b> c"),
        ("<a title='5 > 4' href=\"x>y\">one</a>", "one"),
        ("<p class=it's>one</p><p>it's</p>", "one\n\nit's"),
    ],
)
def test_files_are_read_as_browsers_read_them(file: str, text: str) -> None:
    assert shown(file).text == text


@pytest.mark.parametrize("reference", ["&amp;", "&#39;", "&eacute;"])
def test_a_reference_is_whole_when_text_ends_with_it(reference: str) -> None:
    file = f"<p>cats {reference}</p><p>dogs"
    page = shown(file)
    end = page.text.index("\n")

    assert file[page.place(0) : page.end(end - 1)] == f"cats {reference}"
    assert file[page.place(0) : page.end(3)] == "cats"


@pytest.mark.parametrize("piece", ["<b>x", "<!--", "<", "&", "<a href='", '<a "', "<style>", "</p>", " \n"])
def test_time_is_in_proportion_when_a_page_is_hostile(piece: str) -> None:
    began = time.process_time()

    shown("<html>" + piece * 100_000)

    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("head", "mime"),
    [
        (b"<!doctype HTML>\n<p>", "text/html"),
        (b"\n<!-- a --><?xml version='1.0'?>\n<!DOCTYPE html PUBLIC 'x'>", "text/html"),
        (b"<?xml version='1.0'?><html xmlns='x'>", "text/html"),
        (b"<header>none</header>", "text/plain"),
        (b"<?xml version='1.0'?><rss>", "text/plain"),
        (b"I wrote <html> in a text", "text/plain"),
    ],
)
def test_html_is_told_by_its_beginning(head: bytes, mime: str) -> None:
    assert sniff(head).mime == mime

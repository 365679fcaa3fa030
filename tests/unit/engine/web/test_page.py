"""What is read from HTML, good and bad."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from prismhouse.engine.web.charset import decoded
from prismhouse.engine.web.found import WebFault
from prismhouse.engine.web.page import parse
from prismhouse.engine.web.rules import CrawlRules, compiled

_PAGE = """<!doctype html><html><head><title> The  page </title><base href="/docs/">
<link rel=canonical href="real"><script>var ignored = 1</script></head><body>
<header>Site name</header><nav><a href="/menu">Menu</a></nav>
<main><h1>Head<a class=headerlink href="#h">P</a></h1><p>One <b>two</b>,
three<br>four <img src=i.png alt="A cat"><img src=p.gif width=1 height=1> <a href="f.pdf">the file</a></p>
<ul><li>first<li><p>second</p></ul><table><tr><th>x<th>y<tr><td>1<td>2</table>
<div class="highlight-python"><pre><span>def</span> f():
    return 1
</pre></div><p hidden>not seen</p><p>end <a href=next>next</a> <a rel=nofollow href=no>no</a></main>
<aside>Advertisement</aside><footer>Imprint</footer></body></html>"""


def test_a_page_is_its_own_text_without_what_stands_around_it() -> None:
    read = parse(_PAGE, "http://x.test/a/b")

    assert read.title == "The page"
    assert read.content == (
        "Head\n\nOne two, three\nfour the file\n\n- first\n- second\n\nx | y\n1 | 2\n\n"
        "def f():\n    return 1\n\nend next no"
    )
    (code,) = read.code_blocks
    assert (code.language, code.code) == ("python", "def f():\n    return 1")
    assert read.content[code.offset :].startswith(code.code)
    assert [(image.url, image.alt) for image in read.images] == [("http://x.test/docs/i.png", "A cat")]
    assert [(asset.url, asset.text) for asset in read.assets] == [("http://x.test/docs/f.pdf", "the file")]
    assert [link.url for link in read.links] == ["http://x.test/menu", "http://x.test/docs/", "http://x.test/docs/next"]
    assert read.canonical == "http://x.test/docs/real"


def test_what_is_left_out_is_counted_when_a_page_has_more_than_is_kept() -> None:
    images = "".join(f"<img src=i{number}.png><img src=i{number}.png>" for number in range(503))
    files = "".join(f"<a href=f{number}.pdf>f</a> <a href=f0.pdf>f</a>" for number in range(1004))
    code = "".join(f"<pre>x = {number}</pre>" for number in range(1005))

    read = parse(f"<main>{images}{files}{code}<img src=data:image/png;base64,AA></main>", "http://x.test/")

    assert (len(read.images), len(read.assets), len(read.code_blocks)) == (500, 1000, 1000)
    assert read.left_out == {"images": 3, "asset_links": 4, "code_blocks": 5}
    assert parse(_PAGE, "http://x.test/a/b").left_out == {}


def test_a_picture_that_links_to_itself_is_a_picture_and_a_file() -> None:
    read = parse("<main>Look: <a href=cat.png><img src=cat.png></a></main>", "http://x.test/")

    assert [one.url for one in (*read.images, *read.assets)] == ["http://x.test/cat.png"] * 2


def test_a_page_that_is_all_menu_keeps_its_text() -> None:
    read = parse("<body><nav><a href=a>The first chapter</a> <a href=b>The second one</a></nav>", "http://x.test/")

    assert read.content == "The first chapter The second one"


@pytest.mark.parametrize(
    ("head", "header", "indexed", "followed"),
    [
        ("<meta name=robots content='noindex, nofollow'>", "", False, False),
        ("<meta name=ROBOTS content=none>", "", False, False),
        ("<meta name=googlebot content=noindex>", "", True, True),
        ("", "noindex", False, True),
        ("", "otherbot: noindex", True, True),
        ("", "prismhouse: nofollow", True, False),
    ],
)
def test_what_an_author_forbids_is_heeded(head: str, header: str, indexed: bool, followed: bool) -> None:
    read = parse(f"<html><head>{head}</head><body>text", "http://x.test/", robots_header=header)

    assert (read.is_indexed, read.is_followed) == (indexed, followed)


_ATTRIBUTES = " ".join(f"a{n}=1" for n in range(40_000))


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 50_000,
        "<p><ul><li>" * 40_000,
        f"<p {_ATTRIBUTES}>",
        f"<p x='>' {_ATTRIBUTES}>",
        "<div></span>" * 50_000,
        "<svg>" + "<g>" * 50_000,
        "<rt>" * 50_000,
        "<optgroup>" * 50_000,
        "<p>" + "".join(f"<font color={n}>" for n in range(300)) + "<p>x" * 10_000,
    ],
    ids=["blocks", "lists", "attributes", "quoted", "wrong-ends", "drawing", "ruby", "options", "begun-anew"],
)
def test_a_page_made_to_be_slow_is_refused_at_once(html: str) -> None:
    began = time.process_time()

    with pytest.raises(WebFault) as refused:
        parse(html, "http://x.test/")

    assert refused.value.code == "page_too_deep"
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "html",
    [
        "",
        "\x00\x00",
        "<",
        "<p",
        "<p><b><i></p></b>x",
        "</body></html>after",
        "<table><p>in<td>x",
        "�<p>a",
        "<a href='http://[x'>y</a>",
        "<p>" * 5000 + "x",
        "<a href=x>" * 900 + "y",
        "<![CDATA[x]]>",
        "<svg><p>x",
        "<template><p>t</template>",
        "<ruby>a<rt>b<rp>c</ruby>" * 2000,
        "<select><optgroup><option>a<optgroup><option>b</select>" * 2000,
        "<svg>" + "<path d='M0 0'/>" * 5000 + "</svg>",
        "<table>" + "<tr><td><font color=red>x" * 900 + "</table>" + "<p>y" * 20_000,
    ],
)
def test_broken_pages_are_read_without_an_error(html: str) -> None:
    read = parse(html, "http://x.test/")

    read.content.encode()
    assert "\x00" not in read.content


def test_random_bytes_are_read_without_an_error() -> None:
    random = np.random.default_rng(7)
    alphabet = np.frombuffer(b"<>/=\"' apdivmgsrcultbe\n&;!-\xff\x00", dtype=np.uint8)
    for _ in range(300):
        body = random.choice(alphabet, size=int(random.integers(0, 400))).tobytes()
        parse(decoded(body, None), "http://x.test/")


def test_documentation_of_real_packages_is_read() -> None:
    pages = sorted(Path(np.__file__).parents[1].glob("**/*.html"))[:60]
    assert pages
    for path in pages:
        parse(decoded(path.read_bytes(), None), "http://x.test/")


@pytest.mark.parametrize(
    ("body", "declared", "wanted"),
    [
        ("Grüße".encode(), "iso-8859-1", "Grüße"),
        ("Grüße".encode("latin-1"), "utf-8", "Grüße"),
        ("Grüße".encode("latin-1"), None, "Grüße"),
        (b"<meta charset=shift_jis>" + "日本語".encode("cp932"), None, "日本語"),
        ("日本語".encode("euc-jp"), "euc-jp", "日本語"),
        ("Привет".encode("cp1251"), "windows-1251", "Привет"),
        ("Grüße".encode("utf-16"), None, "Grüße"),
        (b"\xef\xbb\xbfx", "utf-16", "x"),
        (b"caf\xe9 \x93q\x94", "us-ascii", "café “q”"),
        (b"plain", "unicode_escape", "plain"),
        (b"plain", "no-such-thing", "plain"),
        (b"\x81\x8d\xff", "utf-8", "\ufffd"),
        ("viele Grüße für Jörg ".encode() + b"\xff", "utf-8", "Grüße"),
    ],
)
def test_text_is_read_whatever_is_said_of_its_encoding(body: bytes, declared: str | None, wanted: str) -> None:
    assert wanted in decoded(body, declared)


def _rules(**parameters: list[str]) -> CrawlRules:
    made = {name: [compiled(one) for one in patterns] for name, patterns in parameters.items()}
    return CrawlRules(max_depth=1, max_pages=1, timeout_seconds=10, **made)  # type: ignore[arg-type]


def test_a_crawl_stays_on_its_site_unless_a_pattern_names_another() -> None:
    home = "http://x.test/"

    assert _rules().follows("http://x.test/a", home)
    assert not _rules().follows("http://other.test/a", home)
    assert not _rules(include=["/docs/"]).follows("http://other.test/docs/a", home)
    assert not _rules(include=[".*"]).follows("http://other.test/docs/a", home)
    assert _rules(include=[r"^http://other\.test/"]).follows("http://other.test/docs/a", home)
    assert not _rules(include=["/docs/"]).follows("http://x.test/blog/", home)
    assert not _rules(include=["/docs/"], exclude=["old"]).follows("http://x.test/docs/old", home)


def test_a_pattern_that_takes_too_long_is_told() -> None:
    rules = _rules(exclude=[r"^(\w+\s?)*$"])

    with pytest.raises(WebFault) as slow:
        rules.follows("http://x.test/" + "a" * 60 + "!", "http://x.test/")
        _rules(exclude=[r"(a|aa|a?)+$"]).follows("http://x.test/" + "a" * 400 + "!", "http://x.test/")

    assert slow.value.code == "pattern_too_slow"

"""How answers are told: places, excerpts with marked words, and pictures in each protocol."""

from __future__ import annotations

import base64
import io
import re

import pytest
from PIL import Image
from tests.photos import png

from prismhouse.cli.search.answers import Answer, Lines, answer_of, clock, told_once
from prismhouse.cli.search.pictures import Canvas, canvas
from prismhouse.cli.search.pictures.detect import protocol_of
from prismhouse.cli.search.screen import excerpt, marked


def place(**fields: object) -> str:
    return answer_of({"document_id": "doc_1", "score": 0.5, **fields}, 1, Lines()).place


def drawn(protocol: str, data: bytes) -> str:
    stream = io.StringIO()
    Canvas(stream, protocol).draw(data)
    return stream.getvalue()


def test_places_are_times_or_pages() -> None:
    assert place(start_time=61.2, end_time=64.1) == "01:01-01:05"
    assert place(page_number=3, total_pages=9) == "page 3 of 9"
    assert place(page_number=1, total_pages=1) == ""
    assert place(page_number=3) == "page 3"
    assert place(start_time_s=10, end_time_s=20) == place(start_time_sec=10, end_time_sec=20) == "00:10-00:20"
    assert place(timestamp=300.2) == "05:00"
    assert clock(3725) == "1:02:05"


def test_the_excerpt_begins_with_the_sentence_that_was_asked_for() -> None:
    text = "Tomatoes want sun. The bicycle has a flat tyre. \x1b[31mIt is red."

    shown = excerpt(text, "bicycles")

    assert shown == "... The bicycle has a flat tyre. [31mIt is red."
    assert marked(shown, "bicycles", coloured=False).startswith("... The *bicycle* has")
    assert "\x1b[1;33mbicycle\x1b[0m" in marked(shown, "Bicycle?", coloured=True)


def test_nothing_is_marked_when_the_words_are_not_there() -> None:
    assert marked("espresso 87%", "a cup of coffee", coloured=False) == "espresso 87%"


@pytest.mark.parametrize(
    ("environment", "protocol"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm"),
        ({"TERM": "screen-256color", "TMUX": "/tmp/x", "KITTY_WINDOW_ID": "1"}, None),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "blocks"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "vscode", "COLORTERM": "truecolor"}, "blocks"),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor", "NO_COLOR": "1"}, None),
        ({"TERM": "xterm-256color"}, None),
        ({"TERM": "dumb", "COLORTERM": "truecolor"}, None),
        ({}, None),
    ],
)
def test_the_protocol_is_what_the_terminal_says(environment: dict[str, str], protocol: str | None) -> None:
    assert protocol_of(environment) == protocol


def test_nothing_is_drawn_when_there_is_no_terminal() -> None:
    assert canvas(io.StringIO(), io.StringIO()) is None


def test_kitty_and_iterm_carry_the_picture() -> None:
    kitty = "".join(re.findall(r"\x1b_G[^;]*;([^\x1b]*)\x1b\\", drawn("kitty", png("coffee"))))
    iterm = re.search(r"\x1b\]1337;File=[^:]*:([^\a]*)\a", drawn("iterm", png("coffee")))

    assert iterm is not None
    for sent in (kitty, iterm.group(1)):
        with Image.open(io.BytesIO(base64.b64decode(sent))) as image:
            assert max(image.size) == 320


def test_sixels_cover_every_pixel_once() -> None:
    buffer = io.BytesIO()
    Image.effect_noise((23, 13), 80).save(buffer, "PNG")

    sent = drawn("sixel", buffer.getvalue())

    head = re.search(r'\x1bPq"1;1;(\d+);(\d+)', sent)
    assert head is not None
    assert head.groups() == ("23", "13")
    body = re.sub(r"#\d+;2;\d+;\d+;\d+", "", sent[head.end() :].removesuffix("\x1b\\\n"))
    letters = re.sub(r"!(\d+)(.)", lambda run: run.group(2) * int(run.group(1)), re.sub(r"#\d+", "", body))
    assert sum((ord(letter) - 63).bit_count() for letter in letters if letter not in "$-") == 23 * 13


def test_blocks_have_two_pixels_in_each_letter() -> None:
    sent = drawn("blocks", png("coffee"))

    assert sent.count("\u2580") == 36 * 12
    assert re.fullmatch(r"(    (\x1b\[38;2;\d+;\d+;\d+;48;2;\d+;\d+;\d+m\u2580){36}\x1b\[0m\n){12}", sent)


def test_a_place_is_told_once_when_several_extractors_made_something_of_it() -> None:
    def made(file: str, collection: str, **fields: object) -> Answer:
        found = {"document_id": f"{file}-{collection}", "path": file, "collection_id": collection, **fields}
        found["_internal"] = {"lineage": {"root_object_id": f"obj-{fields.pop('of', file)}"}}
        return answer_of(found, 1, Lines())

    told = told_once(
        [
            made("a.png", "one", labels=[{"label": "cup", "confidence": 0.5}]),
            made("a.png", "two", thumbnail_url="http://x/1", labels=[{"label": "mug", "confidence": 0.5}]),
            made("b.pdf", "one", page_number=1, total_pages=2, text_raw="first"),
            made("b.pdf", "one", page_number=1, total_pages=2, text_raw="second"),
            made("b.pdf", "two", page_number=1, total_pages=2, text="of the page, the first"),
            made("b.pdf", "two", page_number=1, total_pages=2, text="a third"),
            made("a.png", "three", of="another"),
            made("c.txt", "one"),
        ],
        5,
    )

    assert [(one.rank, one.file, one.text) for one in told] == [
        (1, "a.png", ""),
        (2, "b.pdf", "of the page, the first"),
        (3, "b.pdf", "second"),
        (4, "b.pdf", "a third"),
        (5, "a.png", ""),
    ]
    assert (told[0].labels, told[0].picture) == (("cup 50%",), "http://x/1")


def test_what_is_no_picture_is_left_out() -> None:
    assert drawn("blocks", b"no picture") == ""

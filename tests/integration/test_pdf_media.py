"""PDFs opened for real: pages, lines with boxes, and what is made to do harm, each refused by its name."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.pdfs import PARAGRAPHS, deep, endless, locked, page_of, raw_pdf, report

from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.limits import MediaLimits
from prismhouse.engine.media.pdf import Line, opened_pdf

_NO_PAGES = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[]/Count 0>>"]
_MANY_PAGES = [
    b"<</Type/Catalog/Pages 2 0 R>>",
    b"<</Type/Pages/Kids[" + b"3 0 R " * 2000 + b"]/Count 2000>>",
    b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 90 90]>>",
]


def stored(folder: Path, content: bytes) -> Path:
    path = folder / "file.pdf"
    path.write_bytes(content)
    return path


def read(path: Path, limits: MediaLimits | None = None) -> list[tuple[tuple[int, int], list[Line]]]:
    pages = []
    with opened_pdf(path, limits or MediaLimits()) as pdf:
        for number in range(1, pdf.pages - pdf.dropped + 1):
            with pdf.page(number) as page:
                pages.append((page.render(96).size, page.lines()))
    return pages


def test_pages_have_pictures_and_lines_with_boxes_when_a_report_is_read(tmp_path: Path) -> None:
    pages = read(stored(tmp_path, report()))

    assert [size for size, _ in pages] == [(793, 1122)] * 3
    words = " ".join(line.text for line in pages[0][1])
    assert all(paragraph in words for paragraph in PARAGRAPHS)
    title = next(line for line in pages[0][1] if line.text == "Annual Warehouse Report")
    footer = next(line for line in pages[0][1] if line.text == "Page 1")
    left, top, right, bottom = title.box
    assert title.size == 20
    assert 25 < left < right < 300
    assert 0 < top < bottom < footer.box[1] < 841.89


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_boxes_lie_on_the_page_as_it_is_shown_when_it_is_turned(tmp_path: Path, turn: int) -> None:
    text = b"BT /F1 20 Tf 20 180 Td (upper left) Tj ET"
    pdf = raw_pdf(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 400 200]/Rotate %d/Contents 4 0 R" % turn
            + b"/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>",
            b"<</Length %d>>stream\n%s\nendstream" % (len(text), text),
        ]
    )

    ((size, (line,)),) = read(stored(tmp_path, pdf))

    assert size == ((266, 533) if turn != 180 else (533, 266))
    across, down = (line.box[0] + line.box[2]) / 2, (line.box[1] + line.box[3]) / 2
    expected = {90: ("right", "top"), 180: ("right", "bottom"), 270: ("left", "bottom")}[turn]
    assert (
        "right" if across > size[0] * 72 / 96 / 2 else "left",
        "bottom" if down > size[1] * 72 / 96 / 2 else "top",
    ) == (expected)


def test_words_are_read_when_only_the_owner_has_a_password(tmp_path: Path) -> None:
    ((_, (line,)),) = read(stored(tmp_path, locked(owner_only=True)))

    assert line.text == "secret words of the owner"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"hello", "media_type_mismatch"),
        (b"%PDF-1.7 ...", "pdf_corrupt"),
        (report()[:1500], "pdf_corrupt"),
        (locked(), "pdf_encrypted"),
        (raw_pdf(_NO_PAGES), "pdf_corrupt"),
        (page_of(b"0 0 1000000 1000000"), "pdf_page_too_large"),
        (page_of(b"0 0 1000000 1"), "pdf_page_too_large"),
        (deep(), "pdf_page_corrupt"),
    ],
    ids=["empty", "words", "header", "cut", "locked", "no pages", "huge", "thin", "deep"],
)
def test_a_bad_pdf_is_refused_by_its_name(tmp_path: Path, content: bytes, code: str) -> None:
    with pytest.raises(MediaFault) as caught:
        read(stored(tmp_path, content))

    assert caught.value.code == code


@pytest.mark.parametrize(
    ("content", "limits", "code"),
    [
        (report(), MediaLimits(pdf_bytes=1024), "pdf_too_large"),
        (report(), MediaLimits(pdf_pixels=10_000), "pdf_page_too_large"),
        (endless(), MediaLimits(pdf_seconds=0.2), "pdf_too_slow"),
    ],
    ids=["bytes", "pixels", "seconds"],
)
def test_a_limit_refuses_a_pdf_when_it_is_set(tmp_path: Path, content: bytes, limits: MediaLimits, code: str) -> None:
    with pytest.raises(MediaFault, match="PRISMHOUSE_MEDIA__PDF_") as caught:
        read(stored(tmp_path, content), limits)

    assert caught.value.code == code


def test_large_pages_are_drawn_smaller_when_they_fit_the_limit_so(tmp_path: Path) -> None:
    ((size, _),) = read(stored(tmp_path, page_of(b"0 0 4000 4000")), MediaLimits(pdf_pixels=4_000_000))

    assert size == (2000, 2000)


def test_pages_over_the_limit_are_counted_when_there_are_many(tmp_path: Path) -> None:
    with opened_pdf(stored(tmp_path, raw_pdf(_MANY_PAGES)), MediaLimits(pdf_pages=30)) as pdf:
        assert (pdf.pages, pdf.dropped) == (2000, 1970)

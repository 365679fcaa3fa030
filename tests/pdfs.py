"""PDFs for tests: a report of three pages, and files that are made to do harm."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from itertools import zip_longest

from fpdf import FPDF
from fpdf.enums import AccessPermission, EncryptionMethod, MethodReturnValue
from PIL import Image

__all__ = [
    "PARAGRAPHS",
    "deep",
    "endless",
    "locked",
    "page_of",
    "raw_pdf",
    "report",
    "scan",
    "text_pages",
    "two_columns",
]

_FIRST = (
    "The warehouse stores raw objects such as documents, images, audio and video and extracts features from each. "
    "Every object belongs to one bucket, and every bucket has a schema that names the fields of its objects."
)
_SECOND = (
    "Queries combine lexical and vector search. A filter is applied before the vectors are compared, so that a "
    "small group of documents is searched exactly and a large one by the index that was built for it."
)
PARAGRAPHS = (_FIRST, _SECOND)


def report(picture: Image.Image | None = None) -> bytes:
    """Return a report of three pages: title, headings, paragraphs, a table, a figure, headers and page numbers."""
    pdf = _Report()
    pdf.set_auto_page_break(auto=True, margin=25)
    pdf.add_page()
    pdf.set_font("helvetica", "B", 20)
    pdf.cell(0, 12, "Annual Warehouse Report", new_x="LMARGIN", new_y="NEXT")
    pdf.ln(4)
    for number, title in enumerate(("Introduction", "Results"), start=1):
        pdf.set_font("helvetica", "B", 14)
        pdf.cell(0, 10, f"{number}. {title}", new_x="LMARGIN", new_y="NEXT")
        pdf.ln(2)
        pdf.set_font("helvetica", "", 11)
        for words in PARAGRAPHS:
            pdf.multi_cell(0, 6, words)
            pdf.ln(5)
    pdf.add_page()
    pdf.set_font("helvetica", "", 11)
    with pdf.table() as table:
        for cells in (("Modality", "Objects", "Size GB"), ("text", "12000", "3.1"), ("image", "5400", "22.8")):
            line = table.row()
            for cell in cells:
                line.cell(cell)
    pdf.ln(8)
    if picture is not None:
        pdf.image(picture, w=100)
        pdf.set_font("helvetica", "I", 9)
        pdf.cell(0, 8, "Figure 1: what was found in the photograph.", new_x="LMARGIN", new_y="NEXT")
    pdf.add_page()
    pdf.set_font("helvetica", "", 11)
    pdf.multi_cell(0, 6, PARAGRAPHS[1])
    return bytes(pdf.output())


def two_columns(left: str, right: str) -> bytes:
    """Return a page with a heading across two columns, whose lines stand in the file row by row, as some writers do."""
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("helvetica", "B", 16)
    pdf.cell(0, 10, "A heading that stands across both columns of the page", new_x="LMARGIN", new_y="NEXT")
    pdf.set_font("helvetica", "", 10)
    lines = [pdf.multi_cell(85, 5, text, dry_run=True, output=MethodReturnValue.LINES) for text in (left, right)]
    for number, pair in enumerate(zip_longest(*lines, fillvalue="")):
        for side, line in zip((10, 110), pair, strict=True):
            pdf.text(side, 30 + 5 * number, line)
    return bytes(pdf.output())


class _Report(FPDF):
    def header(self) -> None:
        self.set_font("helvetica", "", 8)
        self.cell(0, 8, "Prismhouse yearly figures", new_x="LMARGIN", new_y="NEXT")
        self.ln(6)

    def footer(self) -> None:
        self.set_y(-15)
        self.set_font("helvetica", "", 8)
        self.cell(0, 8, f"Page {self.page_no()}", align="C")


def text_pages(texts: Sequence[str]) -> bytes:
    """Return a PDF with a page for each text."""
    pdf = FPDF()
    for words in texts:
        pdf.add_page()
        pdf.set_font("helvetica", "", 12)
        pdf.multi_cell(0, 6, words)
    return bytes(pdf.output())


def locked(owner_only: bool = False) -> bytes:
    """Return an encrypted PDF, for which a password is needed unless only the owner has one."""
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("helvetica", "", 12)
    pdf.cell(text="secret words of the owner")
    pdf.set_encryption(
        owner_password="owner",
        user_password="" if owner_only else "user",
        encryption_method=EncryptionMethod.AES_256,
        permissions=AccessPermission.none(),
    )
    return bytes(pdf.output())


def scan(*images: Image.Image) -> bytes:
    """Return a PDF of pictures, without a text layer."""
    buffer = io.BytesIO()
    images[0].save(buffer, "PDF", save_all=True, append_images=images[1:], resolution=150)
    return buffer.getvalue()


def raw_pdf(objects: Sequence[bytes]) -> bytes:
    """Return a PDF of these objects, the first being the catalogue, with a right table of references."""
    out, places = bytearray(b"%PDF-1.7\n"), []
    for number, held in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, held)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    return bytes(out + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start))


def page_of(box: bytes, content: bytes = b"", *, packed: bool = False) -> bytes:
    """Return a PDF of one page with this MediaBox and content."""
    data = zlib.compress(content, 9) if packed else content
    kind = b"/Filter/FlateDecode" if packed else b""
    return raw_pdf(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[%s]/Contents 4 0 R/Resources<<>>>>" % box,
            b"<</Length %d%s>>stream\n%s\nendstream" % (len(data), kind, data),
        ]
    )


def endless() -> bytes:
    """Return a PDF of some kB whose page takes long to draw: 400,000 lines across it."""
    return page_of(b"0 0 600 600", b"0 0 m 600 600 l S 0 600 m 600 0 l S\n" * 200_000, packed=True)


def slow_in_the_middle() -> bytes:
    """Return a PDF of four pages, of which the second takes long to draw and to read."""
    words = b"BT /F1 12 Tf 20 %d Td (The first page is read before that.) Tj ET\n"
    first = b"".join(words % height for height in (500, 520, 540))
    slow = zlib.compress(first + b"0 0 m 600 600 l S 0 600 m 600 0 l S\n" * 400_000, 9)
    font = b"<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>"
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 600]/Contents %d 0 R/Resources" + font + b">>"
    return raw_pdf(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[3 0 R 4 0 R 5 0 R 6 0 R]/Count 4>>",
            *(page % number for number in (7, 8, 7, 7)),
            b"<</Length %d>>stream\n%s\nendstream" % (len(first), first),
            b"<</Length %d/Filter/FlateDecode>>stream\n%s\nendstream" % (len(slow), slow),
        ]
    )


def deep() -> bytes:
    """Return a PDF whose page tree is nested 20,000 deep, and whose table of references names itself."""
    nodes = [b"<</Type/Pages/Kids[%d 0 R]/Count 1>>" % (number + 3) for number in range(20_000)]
    whole = raw_pdf([b"<</Type/Catalog/Pages 2 0 R>>", *nodes, b"<</Type/Page/MediaBox[0 0 100 100]>>"])
    start = whole.rindex(b"xref\n", 0, whole.rindex(b"startxref"))
    return whole.replace(b"trailer<<", b"trailer<</Prev %d" % start)

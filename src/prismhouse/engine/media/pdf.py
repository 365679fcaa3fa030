"""PDFs opened with limits: their pages as pictures, and the lines of their text layer with boxes. No weights.

Boxes are points (1/72 inch) from the upper left corner of the page as a viewer shows it.
"""

from __future__ import annotations

import ctypes
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.limits import MediaLimits
from prismhouse.engine.media.sniff import sniff

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Box", "Line", "Pdf", "PdfPage", "opened_pdf"]

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

_HEAD_BYTES = 8192
_HEADER_WITHIN = 1024
_POINTS_PER_INCH = 72
_LEAST_DPI = 24
_CELL_GAP = 2.0
"""White between two pieces of a line, in sizes of its letters: wider than that are cells, or columns."""

_LONGEST_SIDE = 20_000
_FINE = 100
"""Parts of a point that positions are told in."""

_CHECKED_EVERY = 4096
_lock = RLock()
"""PDFium may be used by one thread of a process at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A run of text on one line. `size` is the font's, in points."""

    text: str
    box: Box
    size: float


class _Clock:
    """Time that PDFium has for one file: it runs only while PDFium works."""

    def __init__(self, limit: float) -> None:
        self._limit, self._left, self._since = limit, limit, time.monotonic()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time of the block."""
        with _lock:
            self._since = time.monotonic()
            try:
                yield
            finally:
                self._left -= time.monotonic() - self._since

    @property
    def is_over(self) -> bool:
        """Whether the time is spent."""
        return time.monotonic() - self._since > self._left

    def check(self) -> None:
        """Raise MediaFault when the time is spent."""
        if self.is_over:
            message = f"The PDF took longer than {self._limit:g} seconds to read."
            raise MediaFault("pdf_too_slow", f"{message} Simplify it, or raise PRISMHOUSE_MEDIA__PDF_SECONDS.")


@dataclass(slots=True)
class _Run:
    """Characters on the way to a line; the box is that of the page's own space, which goes upwards."""

    letters: list[str] = field(default_factory=list)
    left: float = math.inf
    bottom: float = math.inf
    right: float = -math.inf
    top: float = -math.inf
    size: float = 0.0

    def add(self, letter: str, box: Box, size: float) -> None:
        """Add a character that is really there; its box is left, bottom, right, top."""
        self.letters.append(letter)
        self.left, self.bottom = min(self.left, box[0]), min(self.bottom, box[1])
        self.right, self.top = max(self.right, box[2]), max(self.top, box[3])
        self.size = max(self.size, size)


class PdfPage:
    """An open page. `width` and `height` are points, turned as the page is shown."""

    def __init__(self, page: Any, number: int, limits: MediaLimits, clock: _Clock) -> None:
        self._page, self._limits, self._clock = page, limits, clock
        self.number = number
        self.width, self.height = (float(side) for side in page.get_size())

    def render(self, dpi: float) -> Image:
        """Return the page as an RGB image on white; at fewer dots per inch where it would be too large.

        Raises MediaFault: pdf_page_too_large, pdf_too_slow, pdf_page_corrupt.
        """
        with self._clock.running(), self._faults():
            self._clock.check()
            return self._drawn(self._scale(dpi))

    def lines(self) -> list[Line]:
        """Return the lines of the text layer in the order of the file; none for a scanned page.

        Raises MediaFault: pdf_too_slow, pdf_page_corrupt.
        """
        with self._clock.running(), self._faults():
            text = self._page.get_textpage()
            try:
                return list(self._lines(text))
            finally:
                text.close()

    @contextmanager
    def _faults(self) -> Iterator[None]:
        import pypdfium2 as pdfium

        try:
            yield
        except pdfium.PdfiumError as error:
            message = f"Page {self.number} is damaged and cannot be read ({error}). Export the PDF anew."
            raise MediaFault("pdf_page_corrupt", message) from error

    def _scale(self, dpi: float) -> float:
        scale, area = dpi / _POINTS_PER_INCH, self.width * self.height
        longest = max(self.width, self.height, 1.0)
        scale = min(scale, (self._limits.pdf_pixels / max(area, 1.0)) ** 0.5, _LONGEST_SIDE / longest)
        if not scale * _POINTS_PER_INCH >= _LEAST_DPI:  # also when a side is not a number
            message = (
                f"Page {self.number} is {self.width:.0f} x {self.height:.0f} points, too large to be drawn within "
                f"{self._limits.pdf_pixels} pixels. Scale it down or raise PRISMHOUSE_MEDIA__PDF_PIXELS."
            )
            raise MediaFault("pdf_page_too_large", message)
        return float(scale)

    def _drawn(self, scale: float) -> Image:
        import pypdfium2 as pdfium
        import pypdfium2.raw as pdfium_c

        width, height = max(2, int(self.width * scale)), max(2, int(self.height * scale))
        bitmap = pdfium.PdfBitmap.new_native(width, height, pdfium_c.FPDFBitmap_BGRx)
        try:
            bitmap.fill_rect((255, 255, 255, 255), 0, 0, width, height)
            pause = pdfium_c.IFSDK_PAUSE(version=1)
            # Keep the callback in a name of its own: PDFium calls it after this statement.
            asks = type(pause.NeedToPauseNow)(lambda _: self._clock.is_over)
            pause.NeedToPauseNow = asks
            flags = pdfium_c.FPDF_ANNOT
            place = (0, 0, width, height, 0, flags)
            status = pdfium_c.FPDF_RenderPageBitmap_Start(bitmap.raw, self._page.raw, *place, ctypes.byref(pause))
            pdfium_c.FPDF_RenderPage_Close(self._page.raw)
            self._clock.check()
            if status != pdfium_c.FPDF_RENDER_DONE:
                raise MediaFault("pdf_page_corrupt", f"Page {self.number} cannot be drawn. Export the PDF anew.")
            if self._page.formenv is not None:
                pdfium_c.FPDF_FFLDraw(self._page.formenv.raw, bitmap.raw, self._page.raw, *place)
            image: Image = bitmap.to_pil().convert("RGB")
            return image
        finally:
            bitmap.close()

    def _lines(self, text: Any) -> Iterator[Line]:
        import pypdfium2.raw as pdfium_c

        rect, run = pdfium_c.FS_RECTF(), _Run()
        for index in range(pdfium_c.FPDFText_CountChars(text.raw)):
            if index % _CHECKED_EVERY == 0:
                self._clock.check()
            code = pdfium_c.FPDFText_GetUnicode(text.raw, index)
            if code in (0x0A, 0x0D):
                yield from self._line(run)
                run = _Run()
                continue
            if not run.letters and _letter(code).isspace():
                continue  # what is indented by spaces begins where its ink does
            is_made_up = pdfium_c.FPDFText_IsGenerated(text.raw, index) == 1
            if is_made_up or not pdfium_c.FPDFText_GetLooseCharBox(text.raw, index, ctypes.byref(rect)):
                run.letters.append(_letter(code))
                continue
            size = float(pdfium_c.FPDFText_GetFontSize(text.raw, index))
            if rect.left - run.right > _CELL_GAP * max(size, 1.0) and rect.bottom < run.top and rect.top > run.bottom:
                yield from self._line(run)
                run = _Run()
            run.add(_letter(code), (rect.left, rect.bottom, rect.right, rect.top), size)
        yield from self._line(run)

    def _line(self, run: _Run) -> Iterator[Line]:
        if words := " ".join("".join(run.letters).split()):
            box = self._shown((run.left, run.top, run.right, run.bottom))
            yield Line(text=words, box=box, size=round(run.size, 2))

    def _shown(self, box: Box) -> Box:
        """Return a box of the page's own space (upwards, unturned) as the viewer sees it."""
        import pypdfium2.raw as pdfium_c

        x, y = ctypes.c_int(), ctypes.c_int()
        width, height = int(self.width * _FINE), int(self.height * _FINE)
        corners = []
        for across, up in ((box[0], box[1]), (box[2], box[3])):
            if not abs(across) + abs(up) < float("inf"):
                return (0.0, 0.0, 0.0, 0.0)
            place = (0, 0, width, height, 0, across, up)
            pdfium_c.FPDF_PageToDevice(self._page.raw, *place, ctypes.byref(x), ctypes.byref(y))
            corners.append((min(max(x.value, 0), width) / _FINE, min(max(y.value, 0), height) / _FINE))
        (x1, y1), (x2, y2) = corners
        return (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pdf:
    """An open PDF. `pages` is how many it has, `dropped` how many of them are over the limit: the last ones."""

    document: Any
    pages: int
    dropped: int
    limits: MediaLimits
    clock: _Clock

    @contextmanager
    def page(self, number: int) -> Iterator[PdfPage]:
        """Open a page, numbered from 1, until the end of the block; raise MediaFault: pdf_page_corrupt."""
        import pypdfium2 as pdfium

        with self.clock.running():
            self.clock.check()
            try:
                page = self.document[number - 1]
            except pdfium.PdfiumError as error:
                message = f"Page {number} of {self.pages} is damaged or cut off. Export the PDF anew."
                raise MediaFault("pdf_page_corrupt", message) from error
        try:
            yield PdfPage(page, number, self.limits, self.clock)
        finally:
            with _lock:
                page.close()


@contextmanager
def opened_pdf(path: Path, limits: MediaLimits) -> Iterator[Pdf]:
    """Open a PDF until the end of the block; raise MediaFault.

    Codes: empty_file, media_type_mismatch, pdf_too_large, pdf_encrypted, pdf_corrupt, pdf_no_pages.
    """
    _expect(path, limits)
    clock = _Clock(limits.pdf_seconds)
    with clock.running():
        document = _document(path)
    try:
        with clock.running():
            pages = len(document)
            if pages < 1:
                raise MediaFault("pdf_no_pages", "The PDF has no pages. Export it anew.")
            if document.get_formtype() != 0:
                document.init_forms()
        dropped = max(0, pages - limits.pdf_pages)
        yield Pdf(document=document, pages=pages, dropped=dropped, limits=limits, clock=clock)
    finally:
        with _lock:
            document.close()


def _document(path: Path) -> Any:
    import pypdfium2 as pdfium
    import pypdfium2.raw as pdfium_c

    # PDFium leaves the last error as it was for some bad files: this makes it one of format.
    pdfium_c.FPDF_LoadMemDocument(b"", 0, None)
    try:
        return pdfium.PdfDocument(path)
    except pdfium.PdfiumError as error:
        if error.err_code in (pdfium_c.FPDF_ERR_PASSWORD, pdfium_c.FPDF_ERR_SECURITY):
            message = "The PDF is encrypted and needs a password. Save it without one."
            raise MediaFault("pdf_encrypted", message) from error
        if error.err_code == pdfium_c.FPDF_ERR_FILE:
            raise FileNotFoundError(str(path)) from error
        message = "The PDF is damaged, cut off, or without pages, and cannot be opened. Upload it again."
        raise MediaFault("pdf_corrupt", message) from error


def _expect(path: Path, limits: MediaLimits) -> None:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise MediaFault("empty_file", "Expected a PDF, got an empty file.")
    found = sniff(head)
    if found.kind != "pdf" and b"%PDF-" not in head[:_HEADER_WITHIN]:
        message = f"Expected a PDF, got {found.label} ({found.mime}). Map the input to another field."
        raise MediaFault("media_type_mismatch", message)
    size = path.stat().st_size
    if size > limits.pdf_bytes:
        message = f"The PDF has {size} bytes; the limit is {limits.pdf_bytes}."
        raise MediaFault("pdf_too_large", f"{message} Split it, or raise PRISMHOUSE_MEDIA__PDF_BYTES.")


def _letter(code: int) -> str:
    """Return a character that can be stored; 0x02 is PDFium's mark for a word that is divided over two lines."""
    if code == 0x02:
        return ""
    return "\ufffd" if code == 0 or 0xD800 <= code <= 0xDFFF or code > 0x10FFFF else chr(code)

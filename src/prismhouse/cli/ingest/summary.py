"""What an ingestion prints: one line for each file that needs a word, then the sum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TextIO

from prismhouse.cli.ingest.files import FileFound, Left
from prismhouse.cli.ingest.recipes import KINDS
from prismhouse.cli.words import counted, printable

__all__ = ["Summary"]

_LONGEST_REASON = 300
_STEPS = {
    "empty_file": "fill it or delete it",
    "media_type_mismatch": "its name and its content disagree; convert it or rename it",
    "media_corrupt": "open it in a viewer; export or fetch it again, then run the command again",
    "media_unreadable": "convert it to a usual format, then run the command again",
    "image_corrupt": "open it in a viewer; export or fetch it again, then run the command again",
    "image_too_small": "leave it out, or put the original in its place",
    "pdf_corrupt": "open it in a viewer; export or fetch it again, then run the command again",
    "pdf_encrypted": "save it without a password, then run the command again",
    "no_video_stream": "it is sound only: give it as audio",
    "no_audio_stream": "it has no sound",
    "media_too_long": "cut it, or raise PRISMHOUSE_MEDIA__SECONDS",
    "extra_missing": 'pip install "prismhouse[media]", restart the server, run with --retry-failed',
    "model_missing": "prismhouse models install, restart the server, run with --retry-failed",
}
_USUAL_STEP = "mend it and run the command again, or run it with --retry-failed"


class Summary:
    """Plain lines, each complete when it is printed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._sent = 0
        self._skipped: list[Left] = []
        self._failed: dict[str, Left] = {}
        self._empty: set[str] = set()
        self._partial: list[tuple[str, str]] = []
        self._broken = ""
        self.watching = False

    @property
    def code(self) -> int:
        """Return the exit code."""
        return 1 if self._failed or self._broken else 0

    def say(self, text: str) -> None:
        """Show free text."""
        print(text, file=self._stream, flush=True)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """A batch is followed inside: breaking off leaves it running, and its own screen says so."""
        self.watching = True
        yield
        self.watching = False

    def progress(self, sent: int, of: int) -> None:
        """Show how many files were sent, when more than one group goes."""
        self._sent += sent
        if self._sent < of or self._sent > sent:
            self.say(f"  {self._sent} of {of} sent")

    def left(self, files: Sequence[Left]) -> None:
        """Note files that were not sent."""
        for each in files:
            if each.failed:
                self._failed[each.path] = each
            else:
                self._skipped.append(each)

    def failure(self, path: str, code: str, error: str) -> None:
        """Note a file of which no document, or not every one, was made."""
        reason = f"[{printable(code)}] {printable(error)}"[:_LONGEST_REASON]
        self._failed[path] = Left(path=path, reason=reason, next_step=_STEPS.get(code, _USUAL_STEP), failed=True)

    def failed_before(self, path: str, error: str) -> None:
        """Note a file that failed in an earlier run and is the same now."""
        reason = "failed before and is unchanged" + (f": {printable(error)[:_LONGEST_REASON]}" if error else "")
        self._failed[path] = Left(path=path, reason=reason, next_step="mend it, or --retry-failed", failed=True)

    def empty(self, path: str) -> None:
        """Note a file that has nothing to make a document of."""
        self._empty.add(path)
        self._skipped.append(Left(path=path, reason="nothing in it: no document"))

    def partial(self, path: str, missing: str, reason: str) -> None:
        """Note a file that lacks a part, such as the transcription of a silent film."""
        self._partial.append((path, f"no {printable(missing)}: {printable(reason)[:_LONGEST_REASON]}"))

    def broken(self, batch_id: str, status: str, reason: str | None) -> None:
        """Note that the batch as a whole did not end well."""
        self._broken = f"Batch {batch_id} is {status}: {printable(reason or 'no reason given')}"

    def dry(self, files: Sequence[FileFound], folder: Path) -> None:
        """Show what would be sent, in place of the sum."""
        for file in files:
            self.say(f"would send {printable(file.path)} as {file.kind}")
        self._each(files)
        if not (files or self._skipped or self._failed):
            self.say(f"{printable(folder)} has no files")
            return
        self.say(
            f"{counted(len(files), 'file')} to send{_by_kind(files)},"
            f" {len(self._skipped)} skipped, {len(self._failed)} failed; nothing was sent"
        )

    def end(
        self, *, namespace: str, files: Sequence[FileFound], documents: int, unchanged: int, replaced: int = 0
    ) -> None:
        """Show the sum."""
        self._each(files)
        if self._broken:
            self.say(self._broken)
        done = [file for file in files if file.path not in self._failed and file.path not in self._empty]
        self.say(
            f"{counted(len(done), 'file')} ingested{_by_kind(done)}, {counted(documents, 'document')};"
            f" {unchanged} unchanged{f', {replaced} replaced' if replaced else ''},"
            f" {len(self._skipped)} skipped, {len(self._failed)} failed"
        )
        if done or unchanged:
            self.say(f'Now: prismhouse search "..." --namespace {quote(namespace)}')

    def _each(self, files: Sequence[FileFound]) -> None:
        """Show the files that need a word."""
        for file in files:
            if file.disguise:
                self.say(f"note     {printable(file.path)}: {file.disguise}")
        for path, lack in sorted(self._partial):
            self.say(f"partial  {printable(path)}: {lack}")
        for each in sorted(self._skipped, key=lambda left: left.path):
            self.say(f"skipped  {printable(each.path)}: {each.reason}")
        for each in sorted(self._failed.values(), key=lambda left: left.path):
            self.say(f"FAILED   {printable(each.path)}: {each.reason}\n         -> {each.next_step}")


def _by_kind(files: Sequence[FileFound]) -> str:
    kinds = Counter(file.kind for file in files)
    listed = ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS if kinds[kind])
    return f" ({listed})" if listed else ""

"""Which way of showing pictures a terminal has, by what it says of itself."""

from __future__ import annotations

import os
import re
import select
import time
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TextIO

from prismhouse.cli.search.pictures.draw import Canvas

__all__ = ["canvas", "protocol_of"]

_ANSWER_SECONDS = 0.3
_KITTY = {"ghostty"}
# VS Code is not among them: it takes such pictures only where a setting says so, and then says that it has sixels.
_ITERM = {"iTerm.app", "WezTerm", "mintty"}
_SIXEL_ATTRIBUTE = b"4"


def canvas(stream: TextIO, keyboard: TextIO) -> Canvas | None:
    """Return what draws on this terminal; None for pipes, and for terminals that can show no picture."""
    if not stream.isatty() or find_spec("PIL") is None:
        return None
    protocol = protocol_of(os.environ)
    if protocol in {None, "blocks"} and keyboard.isatty() and _says_sixel(stream, keyboard):
        protocol = "sixel"
    return None if protocol is None else Canvas(stream, protocol)


def protocol_of(environment: Mapping[str, str]) -> str | None:
    """Return kitty, iterm, blocks (two pixels a letter, in 24 bit colours) or None."""
    terminal, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if terminal in {"", "dumb"} or "NO_COLOR" in environment:
        return None
    # A multiplexer between us and the terminal swallows pictures.
    direct = not ("TMUX" in environment or terminal.startswith(("screen", "tmux")))
    if direct and (
        terminal in {"xterm-kitty", "xterm-ghostty"} or program in _KITTY or "KITTY_WINDOW_ID" in environment
    ):
        return "kitty"
    if direct and (program in _ITERM or environment.get("LC_TERMINAL") == "iTerm2"):
        return "iterm"
    return "blocks" if environment.get("COLORTERM") in {"truecolor", "24bit"} else None


def _says_sixel(stream: TextIO, keyboard: TextIO) -> bool:
    """Ask the terminal for its attributes (DA1); one that is silent has none."""
    try:
        import termios
        import tty
    except ImportError:
        return False
    number = keyboard.fileno()
    try:
        before = termios.tcgetattr(number)
    except termios.error:
        return False
    said = b""
    try:
        tty.setcbreak(number, termios.TCSANOW)
        stream.write("\x1b[c")
        stream.flush()
        deadline = time.monotonic() + _ANSWER_SECONDS
        while (left := deadline - time.monotonic()) > 0 and not said.endswith(b"c"):
            if select.select([number], [], [], left)[0]:
                said += os.read(number, 64)
    finally:
        termios.tcsetattr(number, termios.TCSANOW, before)
    found = re.search(rb"\x1b\[\?([0-9;]+)c", said)
    return found is not None and _SIXEL_ATTRIBUTE in found.group(1).split(b";")

"""What the demo prints where there is no terminal, and that a terminal shows the same words."""

from __future__ import annotations

import io

from prismhouse.cli.demo.screen import Hit, Screen, TerminalScreen


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def tell(screen: Screen) -> None:
    with screen.step("Buckets", "hold raw files") as step:
        step.result = "library"
    with screen.step("Batches", "write documents", bars=True), screen.progress() as show:
        show({"library": (1, 4)})
        show({"library": (4, 4)})
    screen.question("the texts", "Where is it?", 0.0123)
    screen.hit(Hit(rank=1, score=0.51234, file="iris.rst", excerpt='"[here] it is"'))


def test_each_step_is_one_line_when_the_stream_is_no_terminal():
    stream = io.StringIO()

    tell(Screen(stream))

    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("Buckets     hold raw files -> library  (")
    assert [line.strip() for line in lines[1:3]] == [
        "library: 1 of 4 objects (25 %)",
        "library: 4 of 4 objects (100 %)",
    ]
    assert lines[-2] == "Question    Where is it?  [the texts, 12 ms]"
    assert lines[-1] == '  1.  0.512  iris.rst                   "[here] it is"'


def test_a_terminal_shows_the_same_words_when_rich_is_there():
    stream = Terminal()

    tell(TerminalScreen(stream))

    shown = stream.getvalue()
    assert "hold raw files -> library" in shown
    assert '"[here] it is"' in shown

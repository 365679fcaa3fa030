"""How a command says things: text of strangers made harmless, and numbers with their nouns."""

from __future__ import annotations

__all__ = ["counted", "printable"]


def printable(text: object) -> str:
    """Return a text on one line that cannot steer a terminal."""
    return "".join(character if character.isprintable() else " " for character in str(text))


def counted(number: int, noun: str) -> str:
    """Return `1 file`, `2 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

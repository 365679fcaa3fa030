"""Pages that are made to be slow to read are told by their tags, before they are parsed.

A parser that follows the standard looks through all open elements at many tags, and through all attributes of a tag at
each of them: the time is the square of their number. Letters in bold, say, that nobody ends it begins anew in each
paragraph. This is a guess by the looks of tags: what gets past it is stopped with the process that crawls, by its time
and its memory.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from prismhouse.engine.web.found import WebFault

__all__ = ["check_nesting"]

_DEEPEST = 1000
_MOST_ATTRIBUTES = 1000
_MOST_BEGUN_ANEW = 1_000_000
_MOST_ALIKE = 3
"""Of elements that look alike, the parser begins no more of them anew."""

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:-]{0,30})([^<>]{0,200})")
_LONG = re.compile(r"<[a-zA-Z](?:[^<>\"']|\"[^\"]*+\"|'[^']*+'){2000}")
_NAMES = re.compile(r"([^<>\"']++)|\"[^\"]*+\"|'[^']*+'")
# These end by themselves, so that many of them do not mean that they stand in each other.
_ENDING_NAMES = (
    "area base br col embed hr img input link meta source track wbr param p li dt dd option tr td th thead tbody tfoot"
    " colgroup caption body head html script style title textarea"
)
_ENDING = frozenset(_ENDING_NAMES.split())
_SHAPES = frozenset({"path", "rect", "circle", "ellipse", "line", "polygon", "polyline", "use", "stop", "image"})
"""Parts of drawings, which mostly end in their own tag."""

_ENDED_BY = {"ruby": ("rt", "rp", "rb", "rtc"), "select": ("optgroup",)}
_BEGUN_ANEW = frozenset(
    {"a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"}
)


@dataclass(slots=True)
class _Open:
    """Elements that are open, by name, and those among them that are begun anew in each block."""

    depth: int = 0
    begun_anew: int = 0
    _tags: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _alike: Counter[str] = field(default_factory=Counter)

    def begin(self, name: str, tag: str) -> None:
        self.depth += 1
        self._tags[name].append(tag)
        if name in _BEGUN_ANEW:
            self._alike[tag] += 1
            self.begun_anew += self._alike[tag] <= _MOST_ALIKE

    def end(self, name: str) -> None:
        """End the last one of that name; an end without a beginning ends nothing."""
        for inner in _ENDED_BY.get(name, ()):
            self.depth -= len(self._tags.pop(inner, ()))
        if not self._tags[name]:
            return
        self.depth -= 1
        tag = self._tags[name].pop()
        if name in _BEGUN_ANEW:
            self.begun_anew -= self._alike[tag] <= _MOST_ALIKE
            self._alike[tag] -= 1


def check_nesting(text: str) -> None:
    """Raise WebFault for a page that is nested deeper, or has a tag with more attributes, than pages have."""
    held = _Open()
    begun_anew = 0
    for match in _TAG.finditer(text):
        name = match[2].lower()
        if match[1]:
            held.end(name)
            continue
        if name not in _BEGUN_ANEW:
            begun_anew += held.begun_anew
        if begun_anew > _MOST_BEGUN_ANEW:
            message = "What it does not end, such as <b> or <font>, would be begun anew too often."
            raise WebFault("page_too_deep", message)
        if name in _ENDING or (name in _SHAPES and match[3].rstrip().endswith("/")):
            continue
        held.begin(name, match[3])
        if held.depth > _DEEPEST:
            raise WebFault("page_too_deep", f"Its parts stand in each other more than {_DEEPEST} deep.")
    at = 0
    while (long := _LONG.search(text, at)) is not None:
        at, attributes = long.start() + 1, 0
        while (piece := _NAMES.match(text, at)) is not None:
            at = piece.end()
            attributes += len((piece[1] or "").split())
        if attributes > _MOST_ATTRIBUTES:
            raise WebFault("page_too_deep", f"A tag of it has more than {_MOST_ATTRIBUTES} attributes.")

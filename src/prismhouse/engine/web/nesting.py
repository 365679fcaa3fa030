"""Pages that are made to be slow to read are told by their tags, before they are parsed.

A parser that follows the standard looks through all open elements at many tags, and through all attributes of a tag at
each of them: the time is the square of their number.
"""

from __future__ import annotations

import re

from prismhouse.engine.web.found import WebFault

__all__ = ["check_nesting"]

_DEEPEST = 1000
_MOST_ATTRIBUTES = 1000
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:-]{0,30})")
_LONG = re.compile(r"<[a-zA-Z][^<>]{2000,}")
# These end by themselves, so that many of them do not mean that they stand in each other.
_ENDING_NAMES = (
    "area base br col embed hr img input link meta source track wbr param p li dt dd option optgroup tr td th thead"
    " tbody tfoot colgroup caption rt rp body head html script style title textarea path rect circle line polygon use g"
)
_ENDING = frozenset(_ENDING_NAMES.split())


def check_nesting(text: str) -> None:
    """Raise WebFault for a page that is nested deeper, or has a tag with more attributes, than pages have."""
    depth = 0
    for match in _TAG.finditer(text):
        name = match[2].lower()
        if name in _ENDING:
            continue
        depth = max(0, depth - 1) if match[1] else depth + 1
        if depth > _DEEPEST:
            raise WebFault("page_too_deep", f"Its parts stand in each other more than {_DEEPEST} deep.")
    for match in _LONG.finditer(text):
        if len(match[0].split()) > _MOST_ATTRIBUTES:
            raise WebFault("page_too_deep", f"A tag of it has more than {_MOST_ATTRIBUTES} attributes.")

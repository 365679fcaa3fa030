"""Where sentences end: punctuation, with the exceptions that matter in practice.

Western marks end a sentence before white space, unless after an abbreviation or initial, or before a lower-case
letter. CJK marks end one anywhere. Closing quotes and brackets belong to the sentence they close. A blank line
ends a sentence always.
"""

from __future__ import annotations

import re

from prismhouse.engine.extractors.spans import Span, trimmed

__all__ = ["sentence_spans"]

_CLOSING = "\"'\u201d\u2019\u00bb)\\]}\u300d\u300f\uff09\u3011"
_END = re.compile(
    rf"(?P<cjk>[\u3002\uff01\uff1f\uff61]+[{_CLOSING}]*)"
    rf"|(?P<mark>[.!?\u2026\u0964]+[{_CLOSING}]*)(?=\s|$)"
    r"|(?P<blank>\n[^\S\n]*\n)"
)
_LAST_WORD = re.compile(r"([^\s(\[\"'\u201c\u2018]+)\.$")
_NEXT = re.compile(r"\s*[\"'\u201c\u2018\u00ab(\[]*(\S)")
_TITLES = frozenset(
    {
        "Mr",
        "Mrs",
        "Ms",
        "Dr",
        "Prof",
        "St",
        "Gen",
        "Rep",
        "Sen",
        "Gov",
        "Capt",
        "Col",
        "Lt",
        "Sgt",
        "Rev",
        "Hon",
        "Fr",
        "Mme",
        "Mlle",
        "Sr",
        "Sra",
    }
)
_BEFORE_NUMBERS = frozenset(
    {"no", "nos", "nr", "fig", "figs", "eq", "eqs", "vol", "p", "pp", "ch", "sec", "art", "al", "ca", "cf", "approx"}
)
_NEVER_LAST = frozenset({"e.g", "i.e", "vs", "viz", "z.b", "d.h", "bzw", "eds", "trans"})
_INITIAL = re.compile(r"^(?:[^\W\d_]|[A-Z](?:\.[A-Z])+)$")


def sentence_spans(text: str) -> list[Span]:
    """Return the sentences in order, without the white space around them; together they hold all the rest."""
    spans: list[Span] = []
    start = 0
    for match in _END.finditer(text):
        if match["mark"] and not _ends(text, start, match):
            continue
        if (span := trimmed(text, start, match.end())) is not None:
            spans.append(span)
        start = match.end()
    if (span := trimmed(text, start, len(text))) is not None:
        spans.append(span)
    return spans


def _ends(text: str, start: int, match: re.Match[str]) -> bool:
    following = _NEXT.match(text, match.end())
    if following is None:
        return True
    if following[1].islower():
        return False
    if not match["mark"].startswith(".") or match["mark"].startswith(".."):
        return True
    word = _LAST_WORD.search(text[max(start, match.start() - 40) : match.start() + 1])
    if word is None:
        return True
    return not _is_abbreviation(word[1], following[1])


def _is_abbreviation(word: str, following: str) -> bool:
    return (
        word in _TITLES
        or word.lower() in _NEVER_LAST
        or (word.lower() in _BEFORE_NUMBERS and following.isdigit())
        or _is_initial(word)
    )


def _is_initial(word: str) -> bool:
    """Whether this is one letter of a name (`J.`) rather than the pronoun `I` or a variable at a sentence's end."""
    return bool(_INITIAL.match(word)) and word != "I" and word[0].isupper()

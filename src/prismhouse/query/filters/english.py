"""English words as PostgreSQL's `english` text search sees them: stems without stop words."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

__all__ = ["stems_of"]

_STOP_WORDS = """
    i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers
    herself it its itself they them their theirs themselves what which who whom this that these those am is are
    was were be been being have has had having do does did doing a an the and but if or because as until while of
    at by for with about against between into through during before after above below to from up down in out on
    off over under again further then once here there when where why how all any both each few more most other
    some such no nor not only own same so than too very s t can will just don should now
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
_WORD = re.compile(r"[^\W_]+")


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    import snowballstemmer

    return snowballstemmer.stemmer("english")


@lru_cache(maxsize=4096)
def _stem(word: str) -> str:
    return str(_stemmer().stemWord(word))


def stems_of(text: str) -> set[str]:
    """Return the stems of a text's words; stop words have none.

    PostgreSQL keeps addresses, file names and decimal numbers whole as well; here they are the words they hold.
    """
    return {_stem(word) for word in _WORD.findall(text.lower()) if word not in STOP_WORDS}

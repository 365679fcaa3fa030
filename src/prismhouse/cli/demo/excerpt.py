"""What of a document is worth showing as an answer, on one line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["excerpt"]

WIDTH = 150
LEAST_CONFIDENCE = 0.03
LABELS_SHOWN = 3


def excerpt(document: Mapping[str, Any], question: str) -> str:
    """Return the labels of a photo, or a text from the sentence on that shares most words with the question."""
    if labels := document.get("labels"):
        # Two of the thousand ImageNet labels may have the same name: the likelier one speaks for both.
        likely = {each["label"]: each["confidence"] for each in reversed(labels)}
        sure = [f"{name} {likely[name]:.0%}" for name in reversed(likely) if likely[name] >= LEAST_CONFIDENCE]
        return "looks like " + ", ".join(sure[:LABELS_SHOWN]) if sure else "looks like nothing it knows"
    text = re.sub(r"(\s|[-=]{4,})+", " ", str(document.get("text", ""))).strip()
    sentences = re.split(r"(?<=[.!?:]) +(?=\S)", text)
    best = max(range(len(sentences)), key=lambda place: (len(_words(sentences[place]) & _words(question)), -place))
    shown = " ".join(sentences[best:])
    cut = shown if len(shown) <= WIDTH else shown[:WIDTH].rsplit(" ", 1)[0] + " ..."
    return f'"{"... " if best else ""}{cut}"'


def _words(text: str) -> set[str]:
    """Return the words without the shortest, plurals as singulars."""
    return {word.rstrip("s") for word in re.findall(r"[a-z]{3,}", text.lower())}

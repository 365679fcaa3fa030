"""A source file is divided into its functions, its classes without them, and what is between: no line is in two."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from prismhouse.engine.extractors.course.languages import Grammar, grammar_of, parser_of

__all__ = ["Part", "parts_of", "whole"]

_LONGEST_LINES = 400
_ATTACHED = ("comment", "attribute_item", "attribute_list", "annotation")
_MARKS = re.compile(r"^[\s/*#;!'\"-]+|[\s*/'\"]+$")
_WORD = re.compile(r"\w")
_DECLARATIONS = frozenset({"lexical_declaration", "variable_declaration"})
_IS_FUNCTION = frozenset({"arrow_function", "function_expression", "function", "generator_function"})
_NAME_FIELDS = ("name", "declarator", "type")
_DEEPEST_NAME = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Lines of a file: `first` to `last`, from 1. `kind` is function, class, block or file.

    `title` is the name, that of its class before it; `told` is what its comment or docstring says.
    """

    kind: str
    first: int
    last: int
    title: str | None = None
    told: str = ""


@dataclass(slots=True)
class _Found:
    kind: str
    first: int
    last: int
    title: str
    told: str


def whole(lines: Sequence[str]) -> list[Part]:
    """Return the file as one part; none when it is blank."""
    return [Part(kind="file", first=1, last=len(lines))] if any(line.strip() for line in lines) else []


def parts_of(source: str, language: str | None) -> list[Part]:
    """Return the parts in the order of the lines. Every line is in at most one; left out are those that say nothing:
    blank ones, and stretches of brackets and `end` alone.

    A part of more than 400 lines goes on in further parts of the same name. A language without a grammar gives
    blocks alone.

    Raises:
        ExtraMissing: the grammars are not installed.
    """
    lines = source.split("\n")
    grammar = grammar_of(language)
    found = list(_found(source, grammar)) if grammar is not None else []
    owners: list[int | None] = [None] * len(lines)
    for kinds in (("class",), ("function",)):
        for place, one in enumerate(found):
            if one.kind in kinds:
                owners[one.first : one.last + 1] = [place] * (min(one.last + 1, len(lines)) - one.first)
    made: list[Part] = []
    told: set[int] = set()
    start = 0
    for end in range(1, len(lines) + 1):
        if end < len(lines) and owners[end] == owners[start]:
            continue
        owner = owners[start]
        if (span := _trimmed(lines, start, end)) is not None:
            held = None if owner is None else found[owner]
            words = held.told if held is not None and owner not in told else ""
            told.update(() if owner is None else (owner,))
            made += _pieces(held, span, words)
        start = end
    return made


def _pieces(held: _Found | None, span: tuple[int, int], told: str) -> Iterator[Part]:
    kind, title = ("block", None) if held is None else (held.kind, held.title)
    for first in range(span[0], span[1], _LONGEST_LINES):
        last = min(first + _LONGEST_LINES, span[1])
        yield Part(kind=kind, first=first + 1, last=last, title=title, told=told if first == span[0] else "")


def _trimmed(lines: Sequence[str], start: int, end: int) -> tuple[int, int] | None:
    while start < end and not lines[start].strip():
        start += 1
    while end > start and not lines[end - 1].strip():
        end -= 1
    says = any(_WORD.search(line) and line.strip(" \t;") != "end" for line in lines[start:end])
    return (start, end) if says else None


def _found(source: str, grammar: Grammar) -> Iterator[_Found]:
    """Yield the outermost functions, and classes from the outside to the inside."""
    data = source.encode()
    tree = parser_of(grammar).parse(data)
    waiting: list[tuple[Any, Any, str]] = [(tree.root_node, None, "")]
    while waiting:
        node, wrapper, above = waiting.pop()
        for child in node.named_children:
            kind = _kind(child, grammar)
            outer = (wrapper or node) if node.type in grammar.wrappers else child
            if kind is not None:
                one = _described(child, outer, kind, above, data)
                yield one
                if kind == "class":
                    waiting.append((child, None, one.title))
            elif child.start_point[0] != child.end_point[0] or child.type in grammar.wrappers:
                waiting.append((child, outer if child.type in grammar.wrappers else None, above))


def _kind(node: Any, grammar: Grammar) -> str | None:
    if node.type in grammar.functions:
        return "function"
    if node.type in grammar.classes:
        return "class" if node.end_point[0] > node.start_point[0] else None
    if node.type in _DECLARATIONS and "arrow_function" not in grammar.functions:
        values = [one.child_by_field_name("value") for one in node.named_children]
        if any(value is not None and value.type in _IS_FUNCTION for value in values):
            return "function"
    return None


def _described(node: Any, outer: Any, kind: str, above: str, data: bytes) -> _Found:
    comments: list[str] = []
    first, before = outer.start_point[0], outer.prev_named_sibling
    while before is not None and before.type.endswith(_ATTACHED) and _ends(before) == first - 1:
        if before.prev_named_sibling is not None and _ends(before.prev_named_sibling) == before.start_point[0]:
            break  # it stands behind code, on the line of that
        if before.type.endswith("comment"):
            comments.insert(0, _text(before, data))
        first, before = before.start_point[0], before.prev_named_sibling
    name = _name(node, data)
    title = f"{above}.{name}" if above and name else name or above
    told = "\n".join(comments) if comments else _docstring(node, data)
    return _Found(kind=kind, first=first, last=_ends(outer), title=title, told=_plain(told))


def _ends(node: Any) -> int:
    """Return the last line of a node; one that ends at the beginning of a line ends on the line before."""
    row, column = node.end_point
    return int(row) - 1 if column == 0 and row > node.start_point[0] else int(row)


def _name(node: Any, data: bytes) -> str:
    for _ in range(_DEEPEST_NAME):
        if node is None:
            return ""
        following = next((held for name in _NAME_FIELDS if (held := node.child_by_field_name(name)) is not None), None)
        if following is None and node.type in {"type_declaration", *_DECLARATIONS}:
            following = node.named_children[0] if node.named_children else None
        if following is None:
            return " ".join(_text(node, data).split())[:200] if not node.named_children or _is_name(node) else ""
        node = following
    return ""


def _is_name(node: Any) -> bool:
    return bool(node.type.endswith(("identifier", "name", "generic_type", "operator_name")))


def _docstring(node: Any, data: bytes) -> str:
    body = node.child_by_field_name("body")
    first = body.named_children[0] if body is not None and body.named_children else None
    if first is not None and first.type == "expression_statement" and first.named_children:
        first = first.named_children[0]
    return _text(first, data) if first is not None and first.type == "string" else ""


def _text(node: Any, data: bytes) -> str:
    return data[node.start_byte : node.end_byte].decode(errors="replace")


def _plain(comment: str) -> str:
    lines = (_MARKS.sub("", line) for line in comment.split("\n"))
    return "\n".join(line for line in lines if line)

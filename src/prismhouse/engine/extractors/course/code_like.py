"""Tells code from prose, and languages from each other, by what their lines look like."""

from __future__ import annotations

import re

__all__ = ["guessed_language", "looks_like_code"]

_LEAST_SHARE = 0.55
_LOOKED_AT, _MOST_LINES = 300, 200
"""Letters of a line, and lines: what is behind them changes nothing."""

_LINE = re.compile(
    r"""
      [;{}]\s*$                                                     # ends as statements do
    | ^\s*[})\]]+[;,]?\s*$
    | ^\s*(?:def|class|func|fn|struct|interface|enum|impl|trait|module)\s+[\w.<>]+\s*[(:{<\[]
    | ^\s*(?:import|from|using|package|require|include)\s+[\w."'<{*/@]+(?:\s*(?:import|as|,|;|from)\b.*)?;?\s*$
    | ^\s*(?:if|elif|else|for|while|try|except|finally|with|match|case)\b.*:\s*$
    | ^\s*(?:return|yield|raise|throw|await|break|continue|pass|assert|del)(?:\s+[\w"'(\[{-]\S*)?\s*;?\s*$
    | ^\s*return\s+.*[().\[\]*+/=]
    | ^\s*(?:const|let|var|val|public|private|protected|static|final)\s+[\w<>\[\]*&:]+
    | ^\s*(?:void|int|float|double|char|bool|auto)\s+[\w<>\[\]*&:]+
    | ^\s*\#\s*(?:include|define|ifdef|ifndef|endif|pragma)\b
    | ^\s*(?:>>>|\.\.\.|\$|%|In\s\[\d+\]:)\s+\S
    | ^\s*@\w+(?:\(.*\))?\s*$
    | ^\s*[\w.\[\]"']+\s*(?:[-+*/%|&^]|<<|>>|:)?=\s*[^=\s].*$         # an assignment
    | ^\s*[\w.]+\([^()]*(?:\([^()]*\)[^()]*)*\)\s*;?\s*$            # a call and nothing else
    | ^\s*(?:SELECT|INSERT\s+INTO|UPDATE|DELETE\s+FROM|CREATE\s+TABLE|FROM|WHERE|JOIN|GROUP\s+BY|ORDER\s+BY)\b
    | ^\s*</?\w+(?:\s+[\w-]+=["'][^"']*["'])*\s*/?>
    | =>|->\s*[\w\[{]|&&|\|\||::|!=|==|:=
    """,
    re.VERBOSE,
)
_COMMENT = re.compile(r"^\s*(?:#(?!\s*\d+\s*$)|//|/\*|\*\s|--\s)\s*\S")
_PATTERNS = {
    "python": r"^[ \t]*(?:def \w+\(.*|elif .*:|from [\w.]+ import .*|import \w+(?: as \w+)?|"
    r"(?:if|for|while|try|else|except|with|class)\b[^{;\n]*:|print\(.*\)|>>> .*)[ \t]*$",
    "java": r"\bpublic (?:static |final |abstract )*(?:class|void|int|String|interface)\b|System\.out\.",
    "c_sharp": r"^[ \t]*using [\w.]+;|\bnamespace [\w.]+[ \t]*[;{]|Console\.Write",
    "cpp": r"\bstd::|#include <\w+>|\btemplate[ \t]*<|cout[ \t]*<<",
    "c": r"#include [<\"]\w+\.h|\bprintf\(|\bint main\(|\bmalloc\(",
    "javascript": r"\b(?:const|let) \w+[ \t]*=|\bfunction\b[ \t]*\w*\(|=>|console\.log|\brequire\(['\"]",
    "typescript": r"^[ \t]*(?:export )?(?:interface|type) \w+[^\n]*[{=]|:[ \t]*(?:string|number|boolean)\b",
    "go": r"^[ \t]*package \w+[ \t]*$|\bfunc (?:\(\w+ \*?\w+\) )?\w+\(|:=|\bfmt\.",
    "rust": r"\bfn \w+[^\n]*[{>]|\blet mut \b|\bimpl\b[^\n]*\{|println!|\buse \w+::",
    "sql": r"^[ \t]*(?:SELECT|INSERT INTO|CREATE TABLE|UPDATE \w+ SET|DELETE FROM|FROM \w+|WHERE )",
    "bash": r"^[ \t]*(?:\$ |#!/bin/|sudo |apt |pip3? install|cd |export \w+=|echo )",
    "html": r"</?(?:html|body|div|span|head|p|a|ul|li|script)\b[^>\n]*>",
}
_LANGUAGES = {name: re.compile(pattern, re.MULTILINE) for name, pattern in _PATTERNS.items()}


def looks_like_code(text: str) -> bool:
    """Say whether most lines are such as stand in programs and hardly in prose; one line alone has to be one."""
    lines = [line[:_LOOKED_AT] for line in text.split("\n") if line.strip()]
    if not lines:
        return False
    comments = sum(bool(_COMMENT.match(line)) for line in lines)
    likely = sum(bool(_LINE.search(line)) for line in lines)
    return likely > 0 and likely + comments / 2 >= _LEAST_SHARE * len(lines)


def guessed_language(text: str) -> str | None:
    """Return the language that most speaks for, or None."""
    shown = "\n".join(line[:_LOOKED_AT] for line in text.split("\n", _MOST_LINES)[:_MOST_LINES])
    votes = [(len(pattern.findall(shown)), -place, name) for place, (name, pattern) in enumerate(_LANGUAGES.items())]
    count, _, name = max(votes)
    return name if count else None

"""Which language a source file is in, by its name; and what functions and classes are called in its grammar."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from prismhouse.engine.inference.session import require

__all__ = ["LANGUAGES", "TEXTS", "Grammar", "grammar_of", "language_of", "parser_of"]

_SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "bash": (".sh", ".bash", ".zsh"),
    "c": (".c", ".h"),
    "c_sharp": (".cs",),
    "clojure": (".clj", ".cljs"),
    "cpp": (".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx", ".cu", ".cuh"),
    "css": (".css", ".scss", ".less"),
    "dart": (".dart",),
    "elixir": (".ex", ".exs"),
    "erlang": (".erl",),
    "go": (".go",),
    "haskell": (".hs",),
    "html": (".html", ".htm", ".vue", ".svelte"),
    "java": (".java",),
    "javascript": (".js", ".jsx", ".mjs", ".cjs"),
    "julia": (".jl",),
    "kotlin": (".kt", ".kts"),
    "lua": (".lua",),
    "matlab": (".m",),
    "ocaml": (".ml", ".mli"),
    "perl": (".pl", ".pm"),
    "php": (".php",),
    "python": (".py", ".pyi", ".pyw"),
    "r": (".r",),
    "ruby": (".rb",),
    "rust": (".rs",),
    "scala": (".scala",),
    "sql": (".sql",),
    "swift": (".swift",),
    "toml": (".toml",),
    "tsx": (".tsx",),
    "typescript": (".ts", ".mts", ".cts"),
    "yaml": (".yaml", ".yml"),
}
_NAMES = {"dockerfile": "dockerfile", "makefile": "make", "gnumakefile": "make", "rakefile": "ruby", "gemfile": "ruby"}
_BY_SUFFIX = {suffix: name for name, suffixes in _SUFFIXES.items() for suffix in suffixes}
_NOTEBOOK = ".ipynb"

LANGUAGES = tuple(sorted({*_SUFFIXES, *_NAMES.values()}))
"""What `code_language` may be."""

TEXTS: Mapping[str, str] = {".md": "markdown", ".markdown": "markdown", ".rst": "text", ".txt": "text"}
"""Files of words, by suffix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """What the nodes of a language's syntax tree are called.

    Attributes:
        module: package of the grammar.
        entry: its function that gives the grammar.
        functions: nodes that are a unit as a whole.
        classes: nodes that hold functions; what is between these is a unit of its own.
        wrappers: nodes around one function or class, such as its decorators.
    """

    module: str
    functions: frozenset[str]
    classes: frozenset[str] = frozenset()
    wrappers: frozenset[str] = frozenset()
    entry: str = "language"


def _grammar(module: str, functions: str, classes: str = "", wrappers: str = "", entry: str = "language") -> Grammar:
    return Grammar(
        module=module,
        functions=frozenset(functions.split()),
        classes=frozenset(classes.split()),
        wrappers=frozenset(wrappers.split()),
        entry=entry,
    )


_SCRIPT_FUNCTIONS = "function_declaration generator_function_declaration method_definition"
_SCRIPT_CLASSES = "class_declaration abstract_class_declaration interface_declaration enum_declaration"
_GRAMMARS: Mapping[str, Grammar] = {
    "c": _grammar("tree_sitter_c", "function_definition"),
    "c_sharp": _grammar(
        "tree_sitter_c_sharp",
        "method_declaration constructor_declaration destructor_declaration operator_declaration",
        "class_declaration struct_declaration interface_declaration record_declaration enum_declaration",
    ),
    "cpp": _grammar(
        "tree_sitter_cpp", "function_definition", "class_specifier struct_specifier", "template_declaration"
    ),
    "go": _grammar("tree_sitter_go", "function_declaration method_declaration", "type_declaration"),
    "java": _grammar(
        "tree_sitter_java",
        "method_declaration constructor_declaration compact_constructor_declaration",
        "class_declaration interface_declaration enum_declaration record_declaration annotation_type_declaration",
    ),
    "javascript": _grammar("tree_sitter_javascript", _SCRIPT_FUNCTIONS, _SCRIPT_CLASSES, "export_statement"),
    "php": _grammar(
        "tree_sitter_php",
        "function_definition method_declaration",
        "class_declaration interface_declaration trait_declaration enum_declaration",
        entry="language_php",
    ),
    "python": _grammar("tree_sitter_python", "function_definition", "class_definition", "decorated_definition"),
    "ruby": _grammar("tree_sitter_ruby", "method singleton_method", "class module"),
    "rust": _grammar("tree_sitter_rust", "function_item", "struct_item enum_item trait_item impl_item"),
    "tsx": _grammar(
        "tree_sitter_typescript", _SCRIPT_FUNCTIONS, _SCRIPT_CLASSES, "export_statement", entry="language_tsx"
    ),
    "typescript": _grammar(
        "tree_sitter_typescript", _SCRIPT_FUNCTIONS, _SCRIPT_CLASSES, "export_statement", entry="language_typescript"
    ),
}


def language_of(path: str) -> str | None:
    """Return the language of a source file, `notebook` for one of Jupyter, or None for what is no source code."""
    name = PurePosixPath(path).name.lower()
    suffix = PurePosixPath(name).suffix
    if suffix == _NOTEBOOK:
        return "notebook"
    return _NAMES.get(name) or _BY_SUFFIX.get(suffix)


def grammar_of(language: str | None) -> Grammar | None:
    """Return the grammar of a language, or None where its functions are not told apart."""
    return _GRAMMARS.get(language or "")


@cache
def parser_of(grammar: Grammar) -> Any:
    """Return a parser for a grammar; raise ExtraMissing."""
    require(("tree_sitter", grammar.module), extra="code", needed_for="Finding the functions of source files")
    import tree_sitter

    module = importlib.import_module(grammar.module)
    return tree_sitter.Parser(tree_sitter.Language(getattr(module, grammar.entry)()))

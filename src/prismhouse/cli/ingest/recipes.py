"""What is made of each kind of file: chosen from the extractors that the server has now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["ALL", "KINDS", "Recipe", "UnknownExtractor", "further", "recipes"]

KINDS = ("text", "markdown", "image", "audio", "video", "pdf", "code")
"""One collection each."""
ALL = "all"
"""In place of names: every further extractor that takes files of a kind."""
_FILE_TYPES = {"markdown": "text"}
_INPUT_TYPES = {"code": "binary"}
"""Types of inputs that are not called like the field of the bucket that feeds them."""

_SPEECH = ("run_transcription", "run_transcription_embedding")


class UnknownExtractor(WarehouseError):
    """The server has no extractor {name} that takes files: it has {known}."""

    code = Code.BAD_REQUEST
    hint = "Name one of these, or `all`."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    extractor: str
    version: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


_WISHES = {
    "text": _Wish(
        extractor="text_extractor", parameters={"split_by": "sentences", "chunk_size": 4, "chunk_overlap": 1}
    ),
    "markdown": _Wish(extractor="text_extractor", parameters={"split_by": "markdown"}),
    "image": _Wish(extractor="image_extractor"),
    "audio": _Wish(
        extractor="multimodal_extractor",
        version="v2",
        parameters={"split_method": "silence", **dict.fromkeys(_SPEECH, True)},
    ),
    "video": _Wish(
        extractor="multimodal_extractor",
        version="v2",
        parameters={"split_method": "scene", **dict.fromkeys(_SPEECH, True)},
    ),
    "pdf": _Wish(extractor="document_graph_extractor"),
    "code": _Wish(extractor="course_content_extractor"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The extractor of a kind. `entry_input` is the extractor's input that takes the files."""

    kind: str
    extractor: str
    version: str
    entry_input: str
    parameters: Mapping[str, Any]

    @property
    def medium(self) -> str:
        """Return the field of the bucket that holds the files."""
        return _FILE_TYPES.get(self.kind, self.kind)


def recipes(catalogue: Sequence[Mapping[str, Any]], *, transcribe: bool) -> dict[str, Recipe]:
    """Return what is made of each kind, by the entries of the server's extractors; kinds without one are missing."""
    made = {kind: _recipe(kind, catalogue, transcribe=transcribe) for kind in KINDS}
    return {kind: recipe for kind, recipe in made.items() if recipe is not None}


def further(
    catalogue: Sequence[Mapping[str, Any]], names: Sequence[str], usual: Mapping[str, Recipe]
) -> dict[str, Recipe]:
    """Return what else is made of files, by kind and extractor; raise UnknownExtractor.

    Texts are left to the extractors of texts: what else takes a text may take it for an address, or a question.
    """
    able: dict[str, dict[str, Recipe]] = {}
    for kind in KINDS:
        if kind in _FILE_TYPES or kind == "text":
            continue
        for entry in catalogue:
            name = entry["feature_extractor_name"]
            if _input(entry, kind) and entry["required_vector_indexes"] and kind in usual:
                # Later versions stand behind earlier ones.
                able.setdefault(name, {})[kind] = Recipe(
                    kind=kind,
                    extractor=name,
                    version=entry["version"],
                    entry_input=str(_input(entry, kind)),
                    parameters={},
                )
    for name in names:
        if name != ALL and name not in able:
            raise UnknownExtractor(name=name, known=", ".join(sorted(able)))
    return {
        f"{kind}-{name.removesuffix('_extractor').replace('_', '-')}": recipe
        for name, made in able.items()
        if ALL in names or name in names
        for kind, recipe in made.items()
        if usual[kind].extractor != name
    }


def _recipe(kind: str, catalogue: Sequence[Mapping[str, Any]], *, transcribe: bool) -> Recipe | None:
    medium = _FILE_TYPES.get(kind) or _INPUT_TYPES.get(kind, kind)
    wish = _WISHES[kind]
    able = [entry for entry in catalogue if _input(entry, medium) and entry["required_vector_indexes"]]
    named = [entry for entry in able if entry["feature_extractor_name"] == wish.extractor]
    exact = [entry for entry in named if entry["version"] == wish.version]
    # An extractor that was not known when this was written is as good as none is bad.
    chosen = next(iter(exact or named[::-1] or able), None)
    if chosen is None:
        return None
    accepted = chosen["parameter_schema"].get("properties", {})
    left_out = () if transcribe else _SPEECH
    return Recipe(
        kind=kind,
        extractor=chosen["feature_extractor_name"],
        version=chosen["version"],
        entry_input=str(_input(chosen, medium)),
        parameters={
            name: value for name, value in wish.parameters.items() if name in accepted and name not in left_out
        },
    )


def _input(entry: Mapping[str, Any], medium: str) -> str | None:
    """Return the input that takes files of a type: the one of that name, else the first."""
    taking = [name for name, kind in (entry.get("expected_input_types") or {}).items() if kind == medium]
    return medium if medium in taking else next(iter(taking), None)

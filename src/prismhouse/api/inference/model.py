"""Which model is meant, and what it is asked: read from a request without guessing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from prismhouse.api.collections.model.features import (
    AmbiguousFeatureURI,
    UnknownFeatureURI,
    describe_vector_indexes,
    resolve_feature_uri,
)
from prismhouse.api.inference.errors import FeatureNotServed, ModelNotServed, ProviderUnknown, SelectorInvalid
from prismhouse.api.inference.schemas import RawInference
from prismhouse.engine.extractors.port import ExtractorRecord, VectorOutput
from prismhouse.engine.inference.entry import ModelEntry
from prismhouse.kit.errors import Invalid, field_fault

__all__ = ["HERE", "INPUT_KEYS", "PROVIDERS", "File", "Inputs", "Selection", "inputs_of", "select"]

HERE = "prismhouse"
PROVIDERS = ("openai", "google", "gemini", "anthropic", HERE)
Kind = Literal["image", "video", "audio"]
_TEXT_KEYS = ("text", "texts", "prompts")
_FILE_KEYS: Mapping[str, tuple[Kind, bool]] = {
    "image_url": ("image", True),
    "image_base64": ("image", False),
    "video_url": ("video", True),
    "video_base64": ("video", False),
    "audio_url": ("audio", True),
    "audio_base64": ("audio", False),
}
INPUT_KEYS = (*_TEXT_KEYS, *_FILE_KEYS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A model of the registry, or (`entry` None) a vector that only its extractor makes."""

    provider: str
    model: str
    entry: ModelEntry | None = None
    extractor: ExtractorRecord | None = None
    output: VectorOutput | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file that was sent: its address, or its bytes in base64."""

    key: str
    kind: Kind
    value: str
    is_url: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a model is asked: texts, a file, or (where a model takes both) texts about a file.

    `is_many` says that a list was sent, so that a list is answered.
    """

    texts: tuple[str, ...] = ()
    is_many: bool = False
    file: File | None = None


def select(body: RawInference, models: Mapping[str, ModelEntry], extractors: Iterable[ExtractorRecord]) -> Selection:
    """Return the model that a request names.

    Raises:
        SelectorInvalid: none is named, or more than one, or half of one.
        ProviderUnknown, ModelNotServed, FeatureNotServed: there is none of that name.
    """
    named = {
        "provider and model": body.provider is not None or body.model is not None,
        "inference_name": body.inference_name is not None,
        "feature_uri": body.feature_uri is not None,
    }
    given = [name for name, is_given in named.items() if is_given]
    if len(given) != 1:
        raise SelectorInvalid(reason=f"{' and '.join(given)} are given" if given else "no selector is given")
    if body.feature_uri is not None:
        return _of_feature(body.feature_uri, models, extractors)
    if body.inference_name is not None:
        found = _model(body.inference_name, models)
        return Selection(provider=HERE, model=found.name, entry=found)
    if not body.provider or not body.model:
        missing = "model" if body.provider else "provider"
        raise SelectorInvalid(reason=f"`{missing}` is missing")
    provider = body.provider.strip().lower()
    if provider not in PROVIDERS:
        raise ProviderUnknown(provider=body.provider[:100], known=", ".join(PROVIDERS))
    found = _model(body.model, models, of=f" for the provider {provider}")
    return Selection(provider=provider, model=body.model, entry=found)


def _model(name: str, models: Mapping[str, ModelEntry], *, of: str = "") -> ModelEntry:
    """Return a model by its name, by the form in which `org/name` is written elsewhere, or by its endpoint's name."""
    for written in (name, name.replace("/", "__")):
        if written in models:
            return models[written]
    for entry in models.values():
        if entry.options.get("model") == name:
            return entry
    raise ModelNotServed(id=name[:200], of=of, known=", ".join(models))


def _of_feature(uri: str, models: Mapping[str, ModelEntry], extractors: Iterable[ExtractorRecord]) -> Selection:
    records = list(extractors)
    indexes = [index for record in records for index in describe_vector_indexes(record)]
    try:
        address = resolve_feature_uri(indexes, uri)
    except (UnknownFeatureURI, AmbiguousFeatureURI) as error:
        known = error.details["available"]
        raise FeatureNotServed(id=uri[:200], known=known) from error
    record, output = next(
        (record, output)
        for record in records
        for output in record.vector_outputs
        if record.feature_uri(output) == address
    )
    selection = Selection(provider=HERE, model=output.model or output.name, extractor=record, output=output)
    # A custom extractor may do more than its model: what it makes is asked of itself.
    if record.source != "builtin" or output.model not in models:
        return selection
    return replace(selection, entry=models[output.model])


def inputs_of(inputs: Mapping[str, Any], *, most_texts: int) -> Inputs:
    """Return what is asked; raise Invalid that names the keys where nothing readable is there."""
    given = {name: value for name, value in inputs.items() if value is not None}
    unknown = [name for name in given if name not in INPUT_KEYS]
    if unknown or not given:
        what = f"{', '.join(sorted(unknown))[:200]}: unknown. " if unknown else "Nothing readable. "
        raise Invalid([field_fault(["body", "inputs"], f"{what}Accepted keys: {', '.join(INPUT_KEYS)}.")])
    texts = [name for name in _TEXT_KEYS if name in given]
    files = [name for name in _FILE_KEYS if name in given]
    if len(texts) > 1 or len(files) > 1:
        listed = ", ".join(texts if len(texts) > 1 else files)
        raise Invalid([field_fault(["body", "inputs"], f"{listed}: send one of them.")])
    read, is_many = _texts(texts[0], given[texts[0]], most_texts) if texts else ((), False)
    return Inputs(texts=read, is_many=is_many, file=_file(files[0], given[files[0]]) if files else None)


def _texts(key: str, value: Any, most: int) -> tuple[tuple[str, ...], bool]:
    where = ["body", "inputs", key]
    if key == "text":
        if not isinstance(value, str) or not value.strip():
            raise Invalid([field_fault(where, "Must be a text that is not blank.")])
        return (value,), False
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        raise Invalid([field_fault(where, "Must be a list of texts, at least one.")])
    if len(value) > most:
        raise Invalid([field_fault(where, f"Has {len(value)} texts; at most {most} (PRISMHOUSE_INFERENCE__TEXTS).")])
    return tuple(value), True


def _file(key: str, value: Any) -> File:
    kind, is_url = _FILE_KEYS[key]
    if not isinstance(value, str) or not value.strip():
        raise Invalid([field_fault(["body", "inputs", key], "Must be a URL." if is_url else "Must be base64.")])
    return File(key=key, kind=kind, value=value.strip(), is_url=is_url)

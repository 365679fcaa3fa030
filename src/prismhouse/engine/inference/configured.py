"""The file of models: TOML that adds models to those of packages, and says which model serves a task.

    [models.my_e5]
    kind = "sentence_transformers"
    path = "/srv/models/e5"

    [defaults]
    joint_embedding = "my_clip"

Each process is given what was read (registry.use_models), so that all know the same models.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from prismhouse.engine.inference.clip.table import Clip
from prismhouse.engine.inference.endpoints.tables import OpenAIChat, OpenAIEmbeddings
from prismhouse.engine.inference.entry import TASKS, ModelEntry
from prismhouse.engine.inference.errors import ModelsFileWrong
from prismhouse.engine.inference.kind import Table, WrongKey
from prismhouse.engine.inference.sentence.table import SentenceTransformers

__all__ = ["KINDS", "NO_MODELS", "ConfiguredModels", "read_models"]

KINDS: Mapping[str, type[Table]] = {
    "sentence_transformers": SentenceTransformers,
    "clip": Clip,
    "openai_embeddings": OpenAIEmbeddings,
    "openai_chat": OpenAIChat,
}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_TOP = ("models", "defaults")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredModels:
    """What a file of models says; it travels to compute processes, so its values are plain.

    Attributes:
        path: of the file, for messages.
        models: in its order.
        defaults: model by task.
        device: where models run: auto, cpu or cuda. It is a setting, and travels along.
    """

    path: str = ""
    models: tuple[ModelEntry, ...] = ()
    defaults: Mapping[str, str] = field(default_factory=dict)
    device: str = "auto"


NO_MODELS = ConfiguredModels()


def read_models(path: Path) -> ConfiguredModels:
    """Return what the file says; raise ModelsFileWrong, which names every wrong table and key."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelsFileWrong(path=str(path), problems=f"it cannot be read: {error}") from error
    problems = [f"[{name}]: unknown table. Accepted: {', '.join(_TOP)}" for name in document if name not in _TOP]
    models = []
    for name, table in _tables(document, "models", problems).items():
        try:
            models.append(_model(name, table, path.absolute().parent))
        except _WrongTable as wrong:
            problems += wrong.problems
    defaults = _defaults(_tables(document, "defaults", problems), problems)
    if problems:
        raise ModelsFileWrong(path=str(path), problems="; ".join(problems))
    return ConfiguredModels(path=str(path), models=tuple(models), defaults=defaults)


class _WrongTable(Exception):
    """What is wrong with a table: one text for each key."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def _tables(document: Mapping[str, Any], name: str, problems: list[str]) -> Mapping[str, Any]:
    found = document.get(name, {})
    if isinstance(found, dict):
        return found
    problems.append(f"[{name}]: must be a table")
    return {}


def _model(name: str, table: Any, base: Path) -> ModelEntry:
    where = f"[models.{name}]"
    if not _NAME.fullmatch(name):
        raise _WrongTable(f"{where}: a name is of letters, digits, '_', '.' and '-', at most 100 of them")
    if not isinstance(table, dict):
        raise _WrongTable(f"{where}: must be a table")
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        given = f"{kind!r} is unknown" if "kind" in table else "is missing"
        raise _WrongTable(f"{where} kind: {given}. Accepted: {', '.join(KINDS)}")
    try:
        return KINDS[kind].model_validate(table).entry(name, base)
    except ValidationError as error:
        raise _WrongTable(*(_problem(where, KINDS[kind], item) for item in error.errors(include_url=False))) from error
    except WrongKey as wrong:
        raise _WrongTable(f"{where} {wrong.key}: {wrong.reason}") from wrong
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        # Files that a kind reads may hold any JSON, and a path any text.
        reason = f"what it names cannot be read ({type(error).__name__}: {error})"
        raise _WrongTable(f"{where} path: {reason}") from error


def _problem(where: str, kind: type[Table], item: Any) -> str:
    key = ".".join(str(part) for part in item["loc"])
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        message = f"unknown key. Accepted: {', '.join(kind.model_fields)}"
    return f"{where} {key}: {message}" if key else f"{where}: {message}"


def _defaults(table: Mapping[str, Any], problems: list[str]) -> dict[str, str]:
    """Return the table; whether its models are known, and of the right task, is seen once all models are."""
    defaults = {}
    for task, name in table.items():
        if task not in TASKS:
            problems.append(f"[defaults] {task}: unknown task. Accepted: {', '.join(TASKS)}")
        elif not isinstance(name, str):
            problems.append(f"[defaults] {task}: must be the name of a model")
        else:
            defaults[task] = name
    return defaults

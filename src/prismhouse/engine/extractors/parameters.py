"""What every extractor's parameters share: unknown keys are refused, and so is what no model here can do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from prismhouse.engine.inference.errors import WriterMissing
from prismhouse.engine.inference.writers import writer_entry
from prismhouse.kit.errors import FieldFault, Invalid, field_fault

__all__ = [
    "KEYS_STAND_ELSEWHERE",
    "NEEDS_LANGUAGE_MODEL",
    "Parameters",
    "check_provider",
    "check_task",
    "validate",
]

NEEDS_LANGUAGE_MODEL = "needs a language model in the file of models (PRISMHOUSE_INFERENCE__MODELS_FILE)"
KEYS_STAND_ELSEWHERE = (
    "keys of models are never part of a collection. The file of models (PRISMHOUSE_INFERENCE__MODELS_FILE) names, as"
    " api_key_env, the environment variable that holds the key of a model"
)
_PROVIDER = "openai"
_TASK = "retrieval_document"

_WHERE = ("body", "feature_extractor", "parameters")


class Parameters(BaseModel):
    """Base of all parameter models.

    `unserved` names parameters that nothing here can honour, with the reason. They are accepted at their
    defaults, since clients send those, and refused otherwise, so that no setting is silently without effect.

    `written` names parameters that need a model that writes, and whether it has to look at pictures. Set otherwise than
    by default they are refused where the file of models names none that can.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    unserved: ClassVar[Mapping[str, str]] = {}
    written: ClassVar[Mapping[str, bool]] = {}
    written_by: ClassVar[str | None] = None
    """The parameter that names the model, where there is one."""

    @model_validator(mode="after")
    def _only_what_is_served(self) -> Self:
        for name, reason in self.unserved.items():
            if self._is_set(name):
                default = json.dumps(self._default(name))
                raise ValueError(f"{name}: {reason}. Leave it out or set it to {default}.")
        for name, vision in self.written.items():
            if self._is_set(name) and getattr(self, name) not in (None, False):
                try:
                    writer_entry(self._writer(), vision=vision)
                except WriterMissing as missing:
                    raise ValueError(f"{name}: {missing.message}") from None
        return self

    def _writer(self) -> str | None:
        return getattr(self, self.written_by) if self.written_by and self._is_set(self.written_by) else None

    def _is_set(self, name: str) -> bool:
        return bool(getattr(self, name) != self._default(name))

    def _default(self, name: str) -> Any:
        return type(self).model_fields[name].get_default(call_default_factory=True, validated_data={})


def check_provider(name: str, provider: str | None) -> None:
    """Raise ValueError for a provider other than the protocol that all models are asked in."""
    if provider not in (None, _PROVIDER):
        raise ValueError(
            f"{name}: models are asked in the protocol of {_PROVIDER}, wherever they run. Leave it out, and name a"
            " model of the file of models."
        )


def check_task(name: str, task: str | None) -> None:
    """Raise ValueError for vectors that are to be made for anything else than documents that queries find."""
    if task is not None and task.lower() != _TASK:
        raise ValueError(
            f"{name}: vectors of documents are made to be found by queries, with every model here. Leave it out or set"
            f" it to {_TASK}."
        )


def validate(kind: type[Parameters], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters as plain JSON values, defaults filled in; raise Invalid naming each fault."""
    try:
        return kind.model_validate(dict(parameters)).model_dump(mode="json")
    except ValidationError as error:
        raise Invalid([_fault(kind, item) for item in error.errors(include_url=False)]) from error


def _fault(kind: type[Parameters], item: Any) -> FieldFault:
    location = [*_WHERE, *item["loc"]]
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        message = f"Unknown parameter. Accepted: {', '.join(kind.model_fields)}."
    name = message.partition(":")[0]
    if not item["loc"] and name in kind.model_fields:
        location.append(name)
        message = message.partition(": ")[2]
    return field_fault(location, message, str(item["type"]))

"""What every extractor's parameters share: unknown keys are refused, and so is what no model here can do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from prismhouse.kit.errors import FieldFault, Invalid, field_fault

__all__ = ["NEEDS_LANGUAGE_MODEL", "Parameters", "validate"]

NEEDS_LANGUAGE_MODEL = "needs a language model, and none is built in"

_WHERE = ("body", "feature_extractor", "parameters")


class Parameters(BaseModel):
    """Base of all parameter models.

    `unserved` names parameters that nothing here can honour, with the reason. They are accepted at their
    defaults, since clients send those, and refused otherwise, so that no setting is silently without effect.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    unserved: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="after")
    def _only_what_is_served(self) -> Self:
        for name, reason in self.unserved.items():
            field = type(self).model_fields[name]
            default = field.get_default(call_default_factory=True, validated_data={})
            if getattr(self, name) != default:
                raise ValueError(f"{name}: {reason}. Leave it out or set it to {json.dumps(default)}.")
        return self


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

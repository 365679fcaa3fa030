"""What an endpoint does wrong, by name. No message holds a key, a header or what was sent."""

from __future__ import annotations

from typing import ClassVar

from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["EndpointBusy", "EndpointFault", "EndpointRefused", "EndpointWrong"]


class EndpointFault(WarehouseError):
    """The model {model} did not answer."""

    code = Code.INFERENCE_UNAVAILABLE
    hint = "See the table models.{model} in the file of models (PRISMHOUSE_INFERENCE__MODELS_FILE)."
    wire_code = "endpoint_fault"
    passes: ClassVar[bool] = False
    """Whether the same request may succeed later."""

    of_input: ClassVar[bool] = False
    """Whether another input may succeed: inputs that were sent together are sent alone."""

    def __init__(self, *, model: str, reason: str, status: int | None = None) -> None:
        super().__init__(model=model, reason=reason, status=status)


class EndpointBusy(EndpointFault):
    """The server of the model {model} cannot answer now: {reason}."""

    hint = "It is tried again; see whether the server at the url of models.{model} in the file of models runs."
    wire_code = "endpoint_unavailable"
    passes = True


class EndpointRefused(EndpointFault):
    """The server of the model {model} refuses the input: {reason}."""

    code = Code.INVALID
    hint = "Change the input, or the parameters that go with it."
    wire_code = "endpoint_refused"
    of_input = True


class EndpointWrong(EndpointFault):
    """The server of the model {model} does not answer as its table in the file of models says: {reason}."""

    wire_code = "endpoint_misbehaved"

"""What can be wrong with a raw inference."""

from __future__ import annotations

from prismhouse.kit.errors import Code, WarehouseError

__all__ = [
    "FeatureNotServed",
    "FileRejected",
    "InferenceBusy",
    "InferenceLost",
    "InferenceTimedOut",
    "ModelNotServed",
    "ProviderUnknown",
    "SelectorInvalid",
]


class SelectorInvalid(WarehouseError):
    """Which model is meant is not said: {reason}."""

    code = Code.BAD_REQUEST
    hint = "Send exactly one of `provider` with `model`, `inference_name`, or `feature_uri`."
    wire_code = "selector_invalid"


class ProviderUnknown(WarehouseError):
    """There is no provider {provider}."""

    code = Code.BAD_REQUEST
    hint = "Known: {known}."
    wire_code = "provider_unknown"


class ModelNotServed(WarehouseError):
    """There is no model {id} here{of}."""

    code = Code.NOT_FOUND
    hint = (
        "Here are: {known}. Another one, or an endpoint that speaks the OpenAI API, is added as a table [models.NAME] "
        "to the file of models (PRISMHOUSE_INFERENCE__MODELS_FILE)."
    )
    wire_code = "model_not_found"


class FeatureNotServed(WarehouseError):
    """No extractor here has the feature {id}."""

    code = Code.NOT_FOUND
    hint = "They have: {known}."
    wire_code = "feature_not_found"


class FileRejected(WarehouseError):
    """inputs.{key} cannot be used: {reason}"""

    code = Code.INVALID
    hint = "Send another file."


class InferenceBusy(WarehouseError):
    """This server has {what} under way, and takes on no more for the moment."""

    code = Code.TOO_MANY
    hint = "Send the request again in a few seconds, or fewer at once."


class InferenceLost(WarehouseError):
    """{model} ran out of memory, or its process crashed."""

    code = Code.INFERENCE_UNAVAILABLE
    hint = "The next request is not affected. Where it happens again with the same input, send a smaller one."
    wire_code = "inference_lost"


class InferenceTimedOut(WarehouseError):
    """{model} took longer than {timeout_seconds:g} s and was stopped."""

    code = Code.INFERENCE_UNAVAILABLE
    hint = "Send a smaller file, or raise PRISMHOUSE_INFERENCE__CALL_TIMEOUT_SECONDS."
    wire_code = "inference_timed_out"

"""What can go wrong with a user's model."""

from __future__ import annotations

from prismhouse.kit.errors import Code, WarehouseError

__all__ = [
    "ModelBusy",
    "ModelEnabled",
    "ModelInUse",
    "ModelLost",
    "ModelNameTaken",
    "ModelNotExportable",
    "ModelNotFound",
    "ModelOfOrganization",
    "TooManyModels",
]


class ModelNotFound(WarehouseError):
    """No model {id} here."""

    code = Code.NOT_FOUND
    hint = "`GET /v1/models` lists the organization's, `GET /v1/namespaces/{{namespace_id}}/models` a namespace's."

    def __init__(self, model_id: str) -> None:
        super().__init__(id=model_id, resource="model")


class ModelBusy(WarehouseError):
    """As many searches wait for the model {model}, and others that may take long, as are taken on at once."""

    code = Code.TOO_MANY
    hint = "Send the search again in a few seconds, or fewer at once."


class ModelLost(WarehouseError):
    """The model {model} ran out of memory, or its process crashed."""

    code = Code.INFERENCE_UNAVAILABLE
    hint = "Send the request again. Where it happens again, send less at once, or give the processes more memory."
    wire_code = "inference_lost"


class ModelNameTaken(WarehouseError):
    """There is a model {name} of version {version} already."""

    code = Code.ALREADY_EXISTS
    hint = "Upload it as another version, or delete the one that is there."


class ModelEnabled(WarehouseError):
    """Model {model_id} is enabled in {namespaces}."""

    code = Code.CONFLICT
    hint = "Disable it there first."


class ModelInUse(WarehouseError):
    """Model {model_id} makes the vectors of {collections}."""

    code = Code.CONFLICT
    hint = "Delete these collections first: without the model they can be neither filled nor searched."


class ModelOfOrganization(WarehouseError):
    """Model {model_id} is the organization's; the namespace only uses it."""

    code = Code.CONFLICT
    hint = "Disable it: POST /v1/namespaces/{{namespace_id}}/models/org/{model_id}/disable."


class ModelNotExportable(WarehouseError):
    """Model {model_id} is of the source {exported_source} and not for download."""

    code = Code.FORBIDDEN
    hint = "Only models of the source customer can be downloaded."


class TooManyModels(WarehouseError):
    """The organization has {limit} models, and may not have more."""

    code = Code.CONFLICT
    hint = "Delete one, or raise PRISMHOUSE_LIMITS__MODELS."

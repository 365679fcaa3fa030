"""Wire shapes of models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from prismhouse.api.archives.schemas import Name
from prismhouse.api.web.body import RequestModel

__all__ = ["CreateModelUpload", "EnableModel", "ModelForm", "Resources"]

Version = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}$")]
Format = Literal["safetensors", "onnx", "pytorch", "huggingface"]
Label = Annotated[str, StringConstraints(max_length=200)]
_GIB = 2**30


class Resources(RequestModel):
    """Kept and given back; a model runs where extraction does."""

    num_cpus: float = Field(1.0, ge=0.1, le=64)
    num_gpus: int = Field(0, ge=0, le=8)
    memory: int = Field(4 * _GIB, ge=0, le=2**53)


class CreateModelUpload(RequestModel):
    """Body that asks for a presigned URL."""

    name: Name
    version: Version
    model_format: Format
    description: str | None = Field(None, max_length=500)
    file_size_bytes: int | None = Field(None, gt=0, le=5 * _GIB)
    presigned_url_expiration: int = Field(3600, ge=60, le=86400)
    resource_requirements: Resources = Resources()
    framework: Label | None = None
    task_type: Label | None = None
    source: Literal["customer", "mixpeek", "system"] = "customer"


class ModelForm(RequestModel):
    """The fields of a form that brings a model."""

    name: Name
    version: Version
    model_format: Format
    framework: Label | None = None
    task_type: Label | None = None
    num_cpus: float = Field(1.0, ge=0.1, le=64)
    num_gpus: int = Field(0, ge=0, le=8)
    memory_gb: float = Field(4.0, ge=0, le=4096)

    def resources(self) -> Resources:
        """Return them as the other way of uploading has them."""
        return Resources(num_cpus=self.num_cpus, num_gpus=self.num_gpus, memory=int(self.memory_gb * _GIB))


class EnableModel(RequestModel):
    """Body that enables a model in a namespace."""

    deploy: bool = False
    resource_overrides: Resources | None = None

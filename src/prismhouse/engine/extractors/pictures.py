"""What the extractors of images share: their vectors, their fields and their thumbnails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.models import vector_output
from prismhouse.engine.extractors.port import Artifact, FloatArray, Part, VectorOutput
from prismhouse.engine.extractors.rows import read_bytes
from prismhouse.engine.extractors.schemas import field_schema
from prismhouse.engine.inference.efficientnet import EfficientNet
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.port import ImageModel
from prismhouse.engine.inference.registry import CONSE, EFFICIENTNET
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.image import Picture, decode_image, thumbnail
from prismhouse.engine.media.sniff import sniff

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "DECODED_AT_ONCE",
    "PICTURE_FIELDS",
    "joint_model",
    "jpeg_file",
    "look",
    "look_at",
    "picture_fields",
    "read_picture",
    "shown",
    "visual_outputs",
]

DECODED_AT_ONCE = 8
"""Pictures held in memory between decoding and the model."""

_DRAFT_SIDE = 640


def joint_model(parameters: Mapping[str, Any]) -> str:
    """Return the model that puts texts and images into one space: the one that is set, else the label bridge."""
    return str(parameters.get("embedding_model") or CONSE)


def visual_outputs(primary_storage: str, visual_storage: str, joint: str = CONSE) -> tuple[VectorOutput, ...]:
    """Return the vector in the text space, which texts and images can query, and the visual one for images."""
    return (
        vector_output(joint, primary_storage, queries=("text", "image")),
        vector_output(EFFICIENTNET, visual_storage, queries=("image",), primary=False),
    )


def read_picture(part: Part, resources: Resources, draft_side: int | None = None) -> Picture:
    """Return the decoded picture; raise MediaFault, also for other kinds of files.

    A JPEG may be decoded smaller than it is, its shorter side at least `draft_side` pixels (640).
    """
    data = read_bytes(part)
    kind = sniff(data).kind
    if kind in ("pdf", "video", "audio"):
        message = f"Expected an image, got {kind}. Map the input to another field."
        raise MediaFault("media_type_mismatch", message)
    return decode_image(data, max_pixels=resources.image_pixels, draft_side=draft_side or _DRAFT_SIDE)


Look = tuple[dict[str, FloatArray], list[dict[str, Any]]]
"""Vectors by output name, and labels, likeliest first."""


def look(pictures: Sequence[Picture], resources: Resources, joint: str = CONSE) -> list[Look]:
    """Return, for each picture, its vectors and its labels; `joint` is the model of the text space."""
    return look_at([picture.image for picture in pictures], resources, joint)


def look_at(images: Sequence[Image], resources: Resources, joint: str = CONSE) -> list[Look]:
    """Return the same for upright RGB images."""
    if not images:
        return []
    if joint != CONSE:
        return _look_by(joint, images, resources)
    model = loaded(CONSE, threads=resources.threads, cache_dir=resources.cache_dir)
    seen = model.see(images)
    return [
        (
            {CONSE: text_space, EFFICIENTNET: visual},
            [{"label": name, "confidence": confidence} for name, confidence in labels],
        )
        for text_space, visual, labels in zip(seen.text_space, seen.visual, seen.labels, strict=True)
    ]


def _look_by(joint: str, images: Sequence[Image], resources: Resources) -> list[Look]:
    """Look with a model of the file of models; labels and the visual vector stay those of the packaged one."""
    model: ImageModel = loaded(joint, threads=resources.threads, cache_dir=resources.cache_dir)
    labelling: EfficientNet = loaded(EFFICIENTNET, threads=resources.threads, cache_dir=resources.cache_dir)
    seen = labelling.look(images)
    return [
        (
            {joint: text_space, EFFICIENTNET: visual},
            [{"label": name, "confidence": confidence} for name, confidence in labels],
        )
        for text_space, visual, labels in zip(
            model.embed_images(images), seen.features, labelling.labels(seen), strict=True
        )
    ]


def picture_fields(picture: Picture, labels: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the fields that describe a picture."""
    return {"width": picture.width, "height": picture.height, "format": picture.format, "labels": labels}


def jpeg_file(field: str, data: bytes, *, role: str = "thumbnail", filename: str = "thumbnail.jpg") -> Artifact:
    """Return a JPEG as a file of a document, whose URL comes into a field."""
    return Artifact(field=field, role=role, type="image", data=data, content_type="image/jpeg", filename=filename)


def shown(picture: Picture) -> Artifact:
    """Return the thumbnail as an artifact."""
    return jpeg_file("thumbnail_url", picture.small or thumbnail(picture.image))


PICTURE_FIELDS: Mapping[str, Any] = {
    "width": field_schema("integer", "Width in pixels, as a viewer shows it."),
    "height": field_schema("integer", "Height in pixels, as a viewer shows it."),
    "format": field_schema(
        "string", "File format, such as JPEG; PDF for a page, whose size is that at 96 dots per inch."
    ),
    "labels": {
        "type": "array",
        "description": "The likeliest of 1000 ImageNet labels, likeliest first.",
        "items": {
            "type": "object",
            "properties": {
                "label": field_schema("string", "Name of the label."),
                "confidence": field_schema("number", "Probability, 0 to 1."),
            },
        },
    },
    "thumbnail_url": field_schema("string", "JPEG of at most 640 pixels."),
}

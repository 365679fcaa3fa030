"""multimodal_extractor v1: images and texts in one vector space. Video and audio are not built yet and say so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import Field

from prismhouse.engine.extractors.definition import Definition, Resources, priced
from prismhouse.engine.extractors.parameters import NEEDS_LANGUAGE_MODEL, Parameters
from prismhouse.engine.extractors.pictures import (
    DECODED_AT_ONCE,
    PICTURE_FIELDS,
    look,
    picture_fields,
    read_picture,
    shown,
    visual_outputs,
)
from prismhouse.engine.extractors.port import (
    Artifact,
    ExtractedDocument,
    ExtractorRecord,
    Part,
    Row,
    RowFailure,
    RowResult,
)
from prismhouse.engine.extractors.rows import failure_of, guarded, parts, read_text, settled
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import CONSE
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.image import Picture

__all__ = ["DEFINITION", "MultimodalParameters"]

_NAME, _VERSION = "multimodal_extractor", "v1"
_NO_VIDEO = "video and audio are not built yet"
_NO_DESCRIPTION = "needs a model that describes pictures, and none is built in"
_NO_OCR = "reading text in pictures is not built yet"


class MultimodalParameters(Parameters):
    """What is made of an image or a text; the settings of videos are kept for when they are built."""

    unserved: ClassVar[Mapping[str, str]] = {
        "run_multimodal_embedding": "without its vector a document could not be found",
        "run_transcription": _NO_VIDEO,
        "run_transcription_embedding": _NO_VIDEO,
        "run_video_description": _NO_DESCRIPTION,
        "run_description_embedding": _NO_DESCRIPTION,
        "run_ocr": _NO_OCR,
        "run_ocr_embedding": _NO_OCR,
        "use_cdn": "there is no content delivery network; files are served here",
        "generation_config": NEEDS_LANGUAGE_MODEL,
        "response_shape": NEEDS_LANGUAGE_MODEL,
    }

    extractor_type: Literal["multimodal_extractor"] = "multimodal_extractor"
    split_method: Literal["time", "scene", "silence"] = Field("time", description=f"Videos only; {_NO_VIDEO}.")
    time_split_interval: int | None = Field(10, ge=1, description=f"Videos only; {_NO_VIDEO}.")
    silence_db_threshold: int | None = Field(None, description=f"Videos only; {_NO_VIDEO}.")
    scene_detection_threshold: float | None = Field(None, description=f"Videos only; {_NO_VIDEO}.")
    sensitivity: str = Field("low", description=f"Videos only; {_NO_VIDEO}.")
    max_segment_duration: float | None = Field(30.0, gt=0, description=f"Videos only; {_NO_VIDEO}.")
    description_prompt: str | None = Field(None, description=f"Has no effect: {_NO_DESCRIPTION}.")
    transcription_language: str | None = Field(None, description=f"Videos only; {_NO_VIDEO}.")
    run_multimodal_embedding: bool = Field(True, description="True: every document has a vector.")
    run_transcription: bool = Field(False, description=f"False: {_NO_VIDEO}.")
    run_transcription_embedding: bool = Field(False, description=f"False: {_NO_VIDEO}.")
    run_video_description: bool = Field(False, description=f"False: {_NO_DESCRIPTION}.")
    run_description_embedding: bool = Field(False, description=f"False: {_NO_DESCRIPTION}.")
    run_ocr: bool = Field(False, description=f"False: {_NO_OCR}.")
    run_ocr_embedding: bool = Field(False, description=f"False: {_NO_OCR}.")
    enable_thumbnails: bool = Field(True, description="Whether a JPEG of at most 640 pixels is kept.")
    use_cdn: bool = Field(False, description="False: files are served by this server.")
    generation_config: dict[str, Any] | None = Field(None, description=f"Unset: {NEEDS_LANGUAGE_MODEL}.")
    output_dimensionality: Literal[384, 3072] = Field(
        3072, description="Has no effect: the built-in model has 384 dimensions."
    )
    task_type: str = Field("RETRIEVAL_DOCUMENT", description="The built-in model has one mode for all tasks.")
    response_shape: str | dict[str, Any] | None = Field(None, description=f"Unset: {NEEDS_LANGUAGE_MODEL}.")
    embedding_task: str | None = Field(None, description="The built-in model has one mode for all tasks.")


@dataclass(frozen=True, slots=True)
class _MultimodalExtractor:
    parameters: Mapping[str, Any]
    resources: Resources

    def __call__(self, rows: Sequence[Row]) -> list[RowResult]:
        return [
            result
            for start in range(0, len(rows), DECODED_AT_ONCE)
            for result in guarded(rows[start : start + DECODED_AT_ONCE], self._extract)
        ]

    def _extract(self, rows: Sequence[Row]) -> list[RowResult]:
        return [self._row(row) for row in rows]

    def _row(self, row: Row) -> RowResult:
        documents: list[ExtractedDocument] = []
        failures: list[RowFailure] = []
        for make, feature in self._steps(row):
            try:
                documents += make()
            except (MediaFault, OSError, MemoryError) as error:
                failures.append(replace(failure_of(row, error, "decode"), missing_feature=feature))
        return settled(row, documents, failures, empty="There is no image and no text.")

    def _steps(self, row: Row) -> Iterator[tuple[Callable[[], list[ExtractedDocument]], str | None]]:
        """Yield what makes the documents, one step for each value, so that a bad value spares the others.

        With a step comes the feature that documents lack when it fails; without one, it loses input.
        """
        for name in ("video", "audio"):
            if parts(row, name):
                yield partial(_not_built, name), None
        images = parts(row, "image")
        custom = next((part for part in parts(row, "custom_thumbnail") if part not in images), None)
        for part in images:
            yield partial(self._seen, part, "image", custom), None
        for part in parts(row, "gif"):
            if part not in images:
                yield partial(self._seen, part, "gif", custom), None
        if custom is not None and self.parameters["enable_thumbnails"]:
            yield partial(self._check_face, custom), "thumbnail"
        for part in parts(row, "text"):
            yield partial(self._read, part), None

    def _seen(self, part: Part, modality: str, custom: Part | None) -> list[ExtractedDocument]:
        picture = read_picture(part, self.resources)
        ((vectors, labels),) = look([picture], self.resources)
        fields = {"modality": modality, **picture_fields(picture, labels)}
        artifacts: tuple[Artifact, ...] = ()
        if self.parameters["enable_thumbnails"]:
            artifacts = (shown(self._face(custom) or picture),)
        return [ExtractedDocument(position=(modality, 0, 0), fields=fields, vectors=vectors, artifacts=artifacts)]

    def _check_face(self, custom: Part) -> list[ExtractedDocument]:
        """Raise MediaFault for a thumbnail that cannot be read, so that the row tells of it."""
        read_picture(custom, self.resources)
        return []

    def _face(self, custom: Part | None) -> Picture | None:
        """Return the picture to show instead, or None where there is none that can be read."""
        try:
            return read_picture(custom, self.resources) if custom is not None else None
        except MediaFault:
            return None

    def _read(self, part: Part) -> list[ExtractedDocument]:
        text = read_text(part)
        if not text.strip():
            return []
        model = loaded(CONSE, threads=self.resources.threads, cache_dir=self.resources.cache_dir)
        made = model.text.embed_texts([text])
        fields: dict[str, Any] = {"modality": "text", "text": text}
        if made.truncated[0]:
            fields["embedding_truncated"] = True
        return [ExtractedDocument(position=("text", 0, 0), fields=fields, vectors={CONSE: made.vectors[0]})]


def _not_built(name: str) -> list[ExtractedDocument]:
    raise MediaFault("not_built_yet", f"The input {name} is not built yet. Map an image or a text.")


_RECORD = ExtractorRecord(
    name=_NAME,
    version=_VERSION,
    description="Embeds images and texts in one space, so that each finds the other. No video or audio yet.",
    category="multimodal",
    icon="layers",
    input_schema={
        "type": "object",
        "properties": {
            "video": {"type": "string", "description": "Not built yet: such rows fail and say so."},
            "image": {"type": "string", "description": "A stored image file."},
            "text": {"type": "string", "description": "Text, or a stored text file in UTF-8."},
            "gif": {"type": "string", "description": "An animation; its first frame is used."},
            "custom_thumbnail": {"type": "string", "description": "An image to show instead."},
        },
    },
    output_schema={
        "type": "object",
        "properties": {
            "modality": {"type": "string", "description": "Input the document comes from: image, gif or text."},
            "text": {"type": "string", "description": "The text, for texts."},
            "embedding_truncated": {
                "type": "boolean",
                "description": "True when the text is longer than the model reads.",
            },
            **PICTURE_FIELDS,
        },
    },
    parameter_schema=MultimodalParameters.model_json_schema(),
    default_parameters=MultimodalParameters().model_dump(mode="json"),
    input_types={
        "video": ("video",),
        "image": ("image",),
        "text": ("text", "string"),
        "gif": ("image",),
        "custom_thumbnail": ("image",),
    },
    vector_outputs=visual_outputs(
        "multimodal_extractor_v1_multimodal_embedding", "multimodal_extractor_v1_visual_embedding"
    ),
    position_fields=("modality", "start_time", "end_time"),
    type_mode="multimodal",
    costs=priced(2, "moderate", {"image": 5, "1k_tokens": 2}),
    example_usage={
        "feature_extractor_name": _NAME,
        "version": _VERSION,
        "input_mappings": {"image": "photo"},
        "parameters": {},
    },
)


def _load(parameters: Mapping[str, Any], resources: Resources) -> _MultimodalExtractor:
    return _MultimodalExtractor(parameters, resources)


DEFINITION = Definition(record=_RECORD, parameters=MultimodalParameters, load=_load)

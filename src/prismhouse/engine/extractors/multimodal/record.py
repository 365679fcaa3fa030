"""What the catalogue says of the multimodal extractors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prismhouse.engine.extractors.definition import Definition, Resources, priced
from prismhouse.engine.extractors.models import vector_output
from prismhouse.engine.extractors.multimodal.description import DESCRIPTION_OUTPUT, shape_of
from prismhouse.engine.extractors.multimodal.extract import MultimodalExtractor
from prismhouse.engine.extractors.multimodal.ocr import OCR_OUTPUT
from prismhouse.engine.extractors.multimodal.parameters import MultimodalParameters
from prismhouse.engine.extractors.pictures import PICTURE_FIELDS, joint_model, visual_outputs
from prismhouse.engine.extractors.port import ExtractorRecord, VectorOutput
from prismhouse.engine.extractors.schemas import field_schema
from prismhouse.engine.extractors.speech import speech_model
from prismhouse.engine.inference.registry import CONSE, MINILM, PP_OCR, check_installed
from prismhouse.engine.inference.writers import writer_entry

__all__ = ["DEFINITION", "DEFINITION_V2"]

_NAME = "multimodal_extractor"
_INPUTS = {
    "video": ("video",),
    "image": ("image",),
    "text": ("text", "string"),
    "gif": ("image",),
    "audio": ("audio", "video"),
    "custom_thumbnail": ("image",),
}
_INPUT_SCHEMA = {
    "type": "object",
    "properties": {
        "video": field_schema("string", "A stored video: one document for each segment."),
        "image": field_schema("string", "A stored image file; the first picture of an animation."),
        "text": field_schema("string", "Text, or a stored text file in UTF-8."),
        "gif": field_schema("string", "An animation: one document for each segment."),
        "audio": field_schema("string", "A stored sound, or a video of which the sound is meant."),
        "custom_thumbnail": field_schema("string", "An image to show instead."),
    },
}
_OUTPUT_SCHEMA = {
    "type": "object",
    "properties": {
        "modality": field_schema("string", "Input the document comes from: image, gif, text, video or audio."),
        "text": field_schema("string", "The text, for texts."),
        "embedding_truncated": field_schema("boolean", "True when the text is longer than the model reads."),
        "start_time": field_schema("number", "Seconds from the first picture to that of the segment."),
        "end_time": field_schema("number", "Seconds to the first picture after the segment."),
        "duration": field_schema("number", "Seconds that the segment lasts."),
        "start_frame": field_schema("integer", "Number of its first picture, from 0."),
        "end_frame": field_schema("integer", "Number of the first picture after it."),
        "fps": field_schema("number", "Pictures a second that were embedded."),
        "source_fps": field_schema("number", "Pictures a second of the video, on average."),
        "transcription": field_schema("string", "What is said in the segment."),
        "transcription_language": field_schema("string", "ISO 639-1 code of what is said."),
        "ocr_text": field_schema("string", "What is written in the picture, or in some of the segment's."),
        "description": field_schema("string", "What a model sees in the pictures, or reads in what is said."),
        "json_output": field_schema("object", "What a model tells in the shape of `response_shape`."),
        "source_video_url": field_schema("string", "The video that the segment is of."),
        "source_audio_url": field_schema("string", "The sound that the segment is of."),
        "video_segment_url": field_schema(
            "string", "The segment as a file of its own, once it was downloaded for the first time."
        ),
        **PICTURE_FIELDS,
    },
}


def _outputs(version: str, joint: str = CONSE) -> tuple[VectorOutput, ...]:
    stored = f"{_NAME}_{version}"
    return visual_outputs(f"{stored}_multimodal_embedding", f"{stored}_visual_embedding", joint)


def _configured(version: str, parameters: Mapping[str, Any]) -> tuple[VectorOutput, ...]:
    outputs = _outputs(version, joint_model(parameters))
    if parameters["run_transcription_embedding"]:
        outputs += (_of_words(MINILM, f"{_NAME}_{version}_transcription_embedding"),)
    if parameters["run_description_embedding"]:
        outputs += (_of_words(DESCRIPTION_OUTPUT, f"{_NAME}_{version}_description_embedding"),)
    if parameters["run_ocr_embedding"]:
        outputs += (_of_words(OCR_OUTPUT, f"{_NAME}_{version}_ocr_embedding"),)
    return outputs


def _of_words(name: str, storage_name: str) -> VectorOutput:
    return vector_output(MINILM, storage_name, name=name, primary=False)


def _check(parameters: Mapping[str, Any]) -> None:
    if parameters["run_video_description"] or shape_of(parameters) is not None:
        writer_entry(vision=True)


def _load(parameters: Mapping[str, Any], resources: Resources) -> MultimodalExtractor:
    """Return the extractor; raise ModelMissing or WriterMissing for what its parameters need, before a file is read."""
    _check(parameters)
    if parameters["run_transcription"]:
        check_installed(speech_model(parameters["transcription_language"]))
    if parameters["run_ocr"]:
        check_installed(PP_OCR)
    return MultimodalExtractor(parameters, resources)


def _definition(version: str, description: str) -> Definition:
    record = ExtractorRecord(
        name=_NAME,
        version=version,
        description=description,
        category="multimodal",
        icon="layers",
        input_schema=_INPUT_SCHEMA,
        output_schema=_OUTPUT_SCHEMA,
        parameter_schema=MultimodalParameters.model_json_schema(),
        default_parameters=MultimodalParameters().model_dump(mode="json"),
        input_types=_INPUTS,
        vector_outputs=_outputs(version),
        position_fields=("modality", "start_time", "end_time"),
        type_mode="multimodal",
        costs=priced(2, "moderate", {"minute": 50, "image": 5, "1k_tokens": 2}),
        example_usage={
            "feature_extractor_name": _NAME,
            "version": version,
            "input_mappings": {"video": "film"},
            "parameters": {"split_method": "scene", "run_transcription": True, "transcription_language": "en"},
        },
    )
    return Definition(
        record=record,
        parameters=MultimodalParameters,
        load=_load,
        check=_check,
        outputs=lambda parameters: _configured(version, parameters),
    )


_DESCRIPTION = "Puts texts, images, and segments of videos and speech into one space, so that each finds the other."
DEFINITION = _definition("v1", _DESCRIPTION)
DEFINITION_V2 = _definition("v2", f"{_DESCRIPTION} The same models as v1, under the newer version's names.")

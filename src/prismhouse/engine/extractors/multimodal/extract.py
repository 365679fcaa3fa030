"""Goes through the inputs of a row: texts, images, animations, videos and sounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.files import file_of
from prismhouse.engine.extractors.multimodal.audio import sound_documents
from prismhouse.engine.extractors.multimodal.description import Describer
from prismhouse.engine.extractors.multimodal.ocr import Written, read_writing
from prismhouse.engine.extractors.multimodal.video import film_documents
from prismhouse.engine.extractors.ocr import LONGEST_SIDE
from prismhouse.engine.extractors.pictures import joint_model, look, picture_fields, read_picture, shown
from prismhouse.engine.extractors.port import Artifact, ExtractedDocument, Part, Row, RowFailure, RowResult
from prismhouse.engine.extractors.rows import failure_of, one_by_one, parts, read_bytes, read_text, settled
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.port import TextModel
from prismhouse.engine.inference.session import require
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.image import Picture, is_animation, thumbnail

__all__ = ["MultimodalExtractor"]

_PACKAGES = ("av",)
_Made = tuple[list[ExtractedDocument], list[RowFailure]]


@dataclass(frozen=True, slots=True)
class MultimodalExtractor:
    """Both versions: they differ in names and accepted inputs only."""

    parameters: Mapping[str, Any]
    resources: Resources

    def __call__(self, rows: Sequence[Row]) -> list[RowResult]:
        """Return one result per row, in the same order."""
        describer = Describer(self.parameters, self.resources)
        results = one_by_one(rows, lambda row: self._row(row, describer))
        # The rows are asked about together: answers take seconds. They go into the documents of the results.
        describer.flush()
        return results

    def _row(self, row: Row, describer: Describer) -> RowResult:
        documents: list[ExtractedDocument] = []
        failures: list[RowFailure] = []
        describer.begin(failures)
        for make, feature in self._steps(row, describer):
            try:
                made, missing = make()
            except (MediaFault, OSError, MemoryError) as error:
                failures.append(replace(failure_of(row, error, "decode"), missing_feature=feature))
            else:
                documents += made
                failures += missing
        empty = "There is no image, text, video or sound."
        return settled(row, documents, failures, empty=empty)

    def _steps(self, row: Row, describer: Describer) -> Iterator[tuple[Callable[[], _Made], str | None]]:
        """Yield what makes the documents, one step for each value, so that a bad value spares the others.

        With a step comes the feature that documents lack when it fails; without one, it loses input.
        """
        images, animations = parts(row, "image"), parts(row, "gif")
        custom = next((part for part in parts(row, "custom_thumbnail") if part not in images), None)
        for part in parts(row, "video"):
            yield partial(self._watched, part, "video", custom, describer), None
        for part in parts(row, "audio"):
            yield partial(self._heard, part, describer), None
        for part in images:
            yield partial(self._seen, part, "image", custom, describer), None
        for part in animations:
            if part not in images:
                yield partial(self._animated, part, custom, describer), None
        if custom is not None and self.parameters["enable_thumbnails"]:
            yield partial(self._check_face, custom), "thumbnail"
        for part in parts(row, "text"):
            yield partial(self._read, part, describer), None

    def _watched(self, part: Part, modality: str, custom: Part | None, describer: Describer) -> _Made:
        face = self._face(custom) if self.parameters["enable_thumbnails"] else None
        cover = thumbnail(face.image) if face is not None else None
        require(_PACKAGES, extra="media", needed_for="Reading videos and sounds")
        with file_of(part) as path:
            return film_documents(
                part,
                path,
                modality,
                parameters=self.parameters,
                resources=self.resources,
                cover=cover,
                describer=describer,
            )

    def _heard(self, part: Part, describer: Describer) -> _Made:
        require(_PACKAGES, extra="media", needed_for="Reading videos and sounds")
        with file_of(part) as path:
            return sound_documents(
                part, path, parameters=self.parameters, resources=self.resources, describer=describer
            )

    def _animated(self, part: Part, custom: Part | None, describer: Describer) -> _Made:
        """An animation is a video; one of a single picture, or of a format that FFmpeg does not play, an image."""
        if is_animation(read_bytes(part)):
            return self._watched(part, "gif", custom, describer)
        return self._seen(part, "gif", custom, describer)

    def _seen(self, part: Part, modality: str, custom: Part | None, describer: Describer) -> _Made:
        reads = self.parameters["run_ocr"]
        picture = read_picture(part, self.resources, draft_side=LONGEST_SIDE if reads else None)
        ((vectors, labels),) = look([picture], self.resources, joint_model(self.parameters))
        written = read_writing(picture.image, self.resources) if reads else Written()
        fields = {"modality": modality, **picture_fields(picture, labels), **written.fields()}
        vectors = vectors | written.vectors(self.resources, wanted=self.parameters["run_ocr_embedding"])
        artifacts: tuple[Artifact, ...] = ()
        if self.parameters["enable_thumbnails"]:
            artifacts = (shown(self._face(custom) or picture),)
        if describer.looks:
            describer.ask(fields, vectors, (thumbnail(picture.image),), said=written.text or "")
        document = ExtractedDocument(position=(modality, 0, 0), fields=fields, vectors=vectors, artifacts=artifacts)
        return [document], [written.failure] if written.failure else []

    def _check_face(self, custom: Part) -> _Made:
        """Raise MediaFault for a thumbnail that cannot be read, so that the row tells of it."""
        read_picture(custom, self.resources)
        return [], []

    def _face(self, custom: Part | None) -> Picture | None:
        """Return the picture to show instead, or None where there is none that can be read."""
        try:
            return read_picture(custom, self.resources) if custom is not None else None
        except MediaFault:
            return None

    def _read(self, part: Part, describer: Describer) -> _Made:
        text = read_text(part)
        if not text.strip():
            return [], []
        joint = joint_model(self.parameters)
        model: TextModel = loaded(joint, threads=self.resources.threads, cache_dir=self.resources.cache_dir)
        made = model.embed_texts([text])
        fields: dict[str, Any] = {"modality": "text", "text": text}
        if made.truncated[0]:
            fields["embedding_truncated"] = True
        vectors = {joint: made.vectors[0]}
        describer.ask(fields, vectors, (), said=text, describes=False)
        return [ExtractedDocument(position=("text", 0, 0), fields=fields, vectors=vectors)], []

"""Which extractors use a model, or can be told to."""

from __future__ import annotations

from prismhouse.engine.extractors.catalogue import Catalogue
from prismhouse.engine.inference.registry import entry

__all__ = ["extractors_of"]

_BY_TASK = {
    "transcription": (
        "course_content_extractor_v1",
        "multimodal_extractor_v1",
        "multimodal_extractor_v2",
        "universal_extractor_v1",
    ),
    "text_recognition": (
        "course_content_extractor_v1",
        "document_graph_extractor_v1",
        "multimodal_extractor_v1",
        "multimodal_extractor_v2",
        "scrolling_text_extractor_v1",
        "universal_extractor_v1",
    ),
    "page_layout": ("course_content_extractor_v1", "document_graph_extractor_v1"),
    "text_embedding": ("text_extractor_v1", "document_graph_extractor_v1"),
    "joint_embedding": ("image_extractor_v1", "multimodal_extractor_v1", "multimodal_extractor_v2"),
}


def extractors_of(name: str) -> list[str]:
    """Return the ids of the extractors whose vectors it makes, that need it, or that take it by `embedding_model`."""
    item = entry(name)
    records = {record.extractor_id: record for record in Catalogue().all()}
    writing = {
        extractor_id
        for extractor_id, record in records.items()
        for output in record.vector_outputs
        if name == output.model
    }
    return sorted(writing | {one for one in _BY_TASK.get(item.task, ()) if one in records})

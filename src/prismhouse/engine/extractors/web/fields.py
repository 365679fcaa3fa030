"""Fields of the documents of a site."""

from __future__ import annotations

from typing import Any

from prismhouse.engine.extractors.pictures import PICTURE_FIELDS
from prismhouse.engine.extractors.schemas import field_schema

__all__ = ["OUTPUT_SCHEMA"]


def _list(description: str, **properties: str) -> dict[str, Any]:
    inner = {name: {"type": "string", "description": text} for name, text in properties.items()}
    return {"type": "array", "description": description, "items": {"type": "object", "properties": inner}}


OUTPUT_SCHEMA = {
    "type": "object",
    "properties": {
        "content": field_schema("string", "Text of the page, or of its chunk, without menus, headers and footers."),
        "title": field_schema("string", "Title of the page."),
        "page_url": field_schema("string", "Address of the page, after redirects."),
        "code_blocks": _list(
            "Blocks of code that begin in it.", language="As the page calls it.", code="The code, as it stands."
        ),
        "images": {
            "type": "array",
            "description": "Pictures that stand in it; `labels` where they were looked at.",
            "items": {
                "type": "object",
                "properties": {
                    "url": field_schema("string", "Address of the picture."),
                    "alt": field_schema("string", "What the page says of it."),
                    "labels": PICTURE_FIELDS["labels"],
                },
            },
        },
        "asset_links": _list("Files linked to, which were not fetched.", url="Address.", text="Text of the link."),
        "left_out": {
            "type": "object",
            "description": "How many the lists of the page lack, by their names; only where it has more than 1000 "
            "blocks of code, 500 pictures or 1000 links to files.",
            "properties": {name: {"type": "integer"} for name in ("code_blocks", "images", "asset_links")},
        },
        "page_index": field_schema("integer", "Place of the page in the crawl, from 0."),
        "chunk_index": field_schema("integer", "Place of the chunk in its page, from 0."),
        "total_chunks": field_schema("integer", "Chunks of the page."),
        "crawl_depth": field_schema("integer", "Links from the first page to it."),
        "parent_url": field_schema("string", "Address of the page that links to it; null for the first page."),
        "embedding_truncated": field_schema("boolean", "True when the text is longer than the model reads."),
        "response_truncated": field_schema(
            "boolean", "True when response_shape is filled from the text's beginning alone."
        ),
    },
}

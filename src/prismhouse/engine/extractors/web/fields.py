"""Fields of the documents of a site."""

from __future__ import annotations

from typing import Any

__all__ = ["OUTPUT_SCHEMA"]


def _field(kind: str, description: str) -> dict[str, str]:
    return {"type": kind, "description": description}


def _list(description: str, **properties: str) -> dict[str, Any]:
    inner = {name: {"type": "string", "description": text} for name, text in properties.items()}
    return {"type": "array", "description": description, "items": {"type": "object", "properties": inner}}


OUTPUT_SCHEMA = {
    "type": "object",
    "properties": {
        "content": _field("string", "Text of the page, or of its chunk, without menus, headers and footers."),
        "title": _field("string", "Title of the page."),
        "page_url": _field("string", "Address of the page, after redirects."),
        "code_blocks": _list(
            "Blocks of code that begin in it.", language="As the page calls it.", code="The code, as it stands."
        ),
        "images": {
            "type": "array",
            "description": "Pictures that stand in it; `labels` where they were looked at.",
            "items": {
                "type": "object",
                "properties": {
                    "url": _field("string", "Address of the picture."),
                    "alt": _field("string", "What the page says of it."),
                    "labels": {
                        "type": "array",
                        "description": "The likeliest of 1000 ImageNet labels, likeliest first.",
                        "items": {
                            "type": "object",
                            "properties": {
                                "label": _field("string", "Name of the label."),
                                "confidence": _field("number", "Probability, 0 to 1."),
                            },
                        },
                    },
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
        "page_index": _field("integer", "Place of the page in the crawl, from 0."),
        "chunk_index": _field("integer", "Place of the chunk in its page, from 0."),
        "total_chunks": _field("integer", "Chunks of the page."),
        "crawl_depth": _field("integer", "Links from the first page to it."),
        "parent_url": _field("string", "Address of the page that links to it; null for the first page."),
        "embedding_truncated": _field("boolean", "True when the text is longer than the model reads."),
        "response_truncated": _field("boolean", "True when response_shape is filled from the text's beginning alone."),
    },
}

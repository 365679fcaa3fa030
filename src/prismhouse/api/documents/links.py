"""Download links in documents, as they are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from prismhouse.kit.ids import NamespaceId

__all__ = ["Link", "LinkBlob", "link_document", "linked"]

Link = Callable[[Mapping[str, Any]], str]
LinkBlob = Callable[[NamespaceId, Mapping[str, Any]], str]
_NO_LINK = "This server gives no link to these bytes."


def linked(reference: Mapping[str, Any], link: Link | None) -> dict[str, Any]:
    """Return a blob reference with `presigned_url`, or with the reason why there is none."""
    url = str(reference.get("url") or "")
    if reference.get("unavailable_reason"):
        return dict(reference)
    if reference.get("checksum") and link is not None:
        return {**reference, "presigned_url": link(reference)}
    if url.startswith(("http://", "https://")):
        return {**reference, "presigned_url": url}
    return {**reference, "unavailable_reason": _NO_LINK}


def link_document(document: dict[str, Any], link: Link) -> None:
    """Put links into a document as it is shown: into its blobs, and where its root names what extraction made."""
    blobs = document.get("document_blobs")
    if isinstance(blobs, list):
        for blob in blobs:
            blob.update(linked(blob, link))
            if blob.get("role") != "source" and document.get(blob.get("field", "")) == blob.get("url"):
                document[blob["field"]] = blob.get("presigned_url") or blob["url"]
    internal = document.get("_internal")
    if isinstance(internal, dict) and isinstance(internal.get("source_blobs"), list):
        internal["source_blobs"] = [linked(blob, link) for blob in internal["source_blobs"]]

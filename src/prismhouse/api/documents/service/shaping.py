"""From rows to what is answered: vectors, links and references beside the documents they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from prismhouse.api.collections.service import Collections
from prismhouse.api.documents.links import LinkBlob
from prismhouse.api.documents.schemas import Shape, document_bytes
from prismhouse.api.documents.service.expand import References
from prismhouse.api.documents.service.vectors import NOTHING, Wanted, hydrate
from prismhouse.api.web.caller import Scope
from prismhouse.storage.postgres.database import NamespaceReader, Record

__all__ = ["ANNOTATIONS", "AnnotationsOf", "Shaping"]

ANNOTATIONS = "_annotations"
"""What `expand` says for what people decided; no field of a document, for those may be called `annotations`."""


class AnnotationsOf(Protocol):
    """What documents need of the annotations, a noun above them."""

    async def summary(self, tx: NamespaceReader, document_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return `{document_id: {"count": n, "labels": {label: n}}}` of documents that have any, in one query."""
        ...


class Shaping:
    """Shapes documents of one namespace at a time."""

    def __init__(self, collections: Collections, link_blob: LinkBlob | None) -> None:
        self._collections = collections
        self._link_blob = link_blob
        self.annotations: AnnotationsOf | None = None

    async def documents(
        self,
        tx: NamespaceReader,
        scope: Scope,
        found: Sequence[Record],
        *,
        wanted: Wanted = NOTHING,
        select: Sequence[str] = (),
        presign: bool = False,
        expand: Sequence[str] = (),
        expanded: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> list[bytes]:
        """Return each row as JSON. `expand` names fields to resolve; `expanded` holds what is resolved already."""
        link_blob = self._link_blob if presign else None
        vectors: dict[str, dict[str, Any]] = {}
        if wanted.anything:
            collections = await self._collections.resolve_known(tx, list({row["collection_id"] for row in found}))
            vectors = await hydrate(tx, found, collections=collections, wanted=wanted)
        together = {one: dict(held) for one, held in (expanded or {}).items()}
        if ANNOTATIONS in expand and self.annotations is not None:
            decided = await self.annotations.summary(tx, [row["document_id"] for row in found])
            for row in found:
                nothing: Mapping[str, Any] = {"count": 0, "labels": {}}
                summary = decided.get(row["document_id"], nothing)
                together.setdefault(row["document_id"], {})[ANNOTATIONS] = summary
        if fields := [name for name in expand if name != ANNOTATIONS]:
            references = References(found, fields)
            targets = await references.resolve(tx)
            shown = await self.documents(tx, scope, targets, presign=presign)
            ready = {row["document_id"]: text for row, text in zip(targets, shown, strict=True)}
            for one, held in references.shown(ready).items():
                together.setdefault(one, {}).update(held)
        shape = Shape(
            internal_id=scope.organization_id,
            namespace_id=scope.namespace_id,
            select=select,
            vectors=vectors,
            expanded=together,
            with_vectors=wanted.values or isinstance(wanted.names, list),
            presign=presign,
            link=None if link_blob is None else lambda blob: link_blob(scope.namespace_id, blob),
        )
        return [document_bytes(row, shape) for row in found]

"""Changes of any number of annotations in one transaction, with the events and audit rows that tell of them.

One annotation is changed by the same statements as a thousand, so both follow the same rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prismhouse.api.annotations.errors import AnnotatedDocumentNotFound
from prismhouse.api.annotations.model import Chain, new_ids
from prismhouse.api.annotations.ports import Action, AuditLog, DocumentsOf, EventLog, Told
from prismhouse.api.annotations.store import rows
from prismhouse.api.annotations.wire import differences, event
from prismhouse.api.web.caller import Scope
from prismhouse.storage.postgres.database import NamespaceWriter

__all__ = ["Around", "Changes"]

State = Mapping[str, Any]
Edit = tuple[State, State, Sequence[str]]
"""What stood before, what stands after, and the fields that changed."""
# What an audit row tells of an annotation that came or went; the history holds the rest.
_NAMED = ("document_id", "label")
_OPTIONAL = (
    "collection_id",
    "confidence",
    "reasoning",
    "payload",
    "metadata",
    "retriever_id",
    "execution_id",
    "stage_name",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """The nouns that changes look into and tell."""

    documents: DocumentsOf
    events: EventLog
    audit: AuditLog


class Changes:
    """The changes of one transaction: create, hold, keep, remove; each at most once, and `tell` at the end."""

    def __init__(self, tx: NamespaceWriter, scope: Scope, around: Around, moment: datetime) -> None:
        self._tx = tx
        self._scope = scope
        self._around = around
        self.moment = moment
        self._tenant: dict[str, Any] = {
            "organization_id": scope.organization_id,
            "namespace_id": scope.namespace_id,
        }
        self._who = {"actor_id": scope.actor.actor_id, "actor_type": scope.actor.actor_type}
        self._created: list[State] = []
        self._edits: list[Edit] = []
        self._removed: list[State] = []

    @classmethod
    async def begin(cls, tx: NamespaceWriter, scope: Scope, around: Around) -> Changes:
        """Return the changes of a transaction that has locked nothing yet."""
        return cls(tx, scope, around, await rows.begin(tx))

    async def create(self, drafts: Sequence[Mapping[str, Any]]) -> list[State | AnnotatedDocumentNotFound]:
        """Create annotations; one whose document is not in the collection that it names fails alone."""
        named = [draft["document_id"] for draft in drafts if draft.get("collection_id") is not None]
        standing = await self._around.documents.collections_of(self._tx, named) if named else {}
        made: list[State | AnnotatedDocumentNotFound] = []
        for annotation_id, draft in zip(new_ids(self.moment, len(drafts)), drafts, strict=True):
            collection_id = draft.get("collection_id")
            if collection_id is not None and standing.get(draft["document_id"]) != collection_id:
                made.append(AnnotatedDocumentNotFound(draft["document_id"], collection_id))
            else:
                made.append(self._new(annotation_id, draft))
        self._created = [one for one in made if not isinstance(one, AnnotatedDocumentNotFound)]
        if self._created:
            await rows.insert(self._tx, self._created, moment=self.moment, **self._who)
        return made

    def _new(self, annotation_id: str, draft: Mapping[str, Any]) -> State:
        return {
            "annotation_id": annotation_id,
            "document_id": draft["document_id"],
            "label": draft["label"],
            **{name: draft.get(name) for name in _OPTIONAL},
            **self._who,
            "version": 1,
            "created_at": self.moment,
            "updated_at": self.moment,
        }

    async def hold(self, annotation_ids: Iterable[str]) -> dict[str, Chain]:
        """Return what is there of these, by id, to be edited; nobody else changes it until the transaction ends."""
        asked = list(dict.fromkeys(annotation_ids))
        if not asked:
            return {}
        return {key: Chain(state) for key, state in (await rows.hold(self._tx, asked)).items()}

    def edit(self, chain: Chain, given: Mapping[str, Any]) -> None:
        """Apply an edit to a held annotation; `keep` stores it."""
        before = chain.state
        if chain.edit(given, self.moment):
            self._edits.append((before, chain.state, chain.ended[-1].changed))

    async def keep(self, chains: Iterable[Chain]) -> None:
        """Store the edits of held annotations."""
        edited = [chain for chain in chains if chain.ended]
        if edited:
            ended = [
                {**one.state, "ended_at": one.ended_at, "changed": ",".join(one.changed)}
                for chain in edited
                for one in chain.ended
            ]
            await rows.replace(self._tx, [chain.state for chain in edited], ended, **self._who)

    async def remove(self, chains: Iterable[Chain]) -> None:
        """Delete held annotations as their edits left them."""
        self._removed = [chain.state for chain in chains]
        if self._removed:
            gone = [state["annotation_id"] for state in self._removed]
            await rows.delete(self._tx, gone, moment=self.moment, **self._who)

    async def tell(self) -> None:
        """Write an event and an audit row for each created annotation, new version and deletion."""
        events: list[Told] = [
            *(("annotation.created", state["annotation_id"], event(state, **self._who)) for state in self._created),
            *(
                ("annotation.updated", new["annotation_id"], self._updated(new, changed))
                for _, new, changed in self._edits
            ),
            *(("annotation.deleted", state["annotation_id"], event(state, **self._who)) for state in self._removed),
        ]
        if events:
            await self._around.events.emit_many(self._tx.unscoped, events=events, **self._tenant)
        await self._record(
            "annotation_created", [(new["annotation_id"], differences(None, new, _NAMED)) for new in self._created]
        )
        await self._record(
            "annotation_updated",
            [(new["annotation_id"], differences(old, new, changed)) for old, new, changed in self._edits],
        )
        await self._record(
            "annotation_deleted", [(old["annotation_id"], differences(old, None, _NAMED)) for old in self._removed]
        )

    def _updated(self, state: State, changed: Sequence[str]) -> dict[str, Any]:
        return event(state, changed_fields=list(changed), **self._who)

    async def _record(self, action: Action, entries: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        if entries:
            await self._around.audit.record_many(
                self._tx.unscoped,
                self._scope.actor,
                action=action,
                resource_type="annotation",
                entries=entries,
                **self._tenant,
            )

"""Annotations against a model in plain Python: whatever is done, every instant stays as it was."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Coroutine
from copy import deepcopy
from datetime import datetime
from typing import Any, TypeVar

import orjson
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from prismhouse.api.annotations.errors import AnnotationNotFound
from prismhouse.api.annotations.schemas import BulkAnnotations, CreateAnnotation, ListAnnotations, PatchAnnotation
from prismhouse.api.web.caller import Actor, Scope
from prismhouse.kit import json as wire
from prismhouse.kit.ids import NamespaceId, OrganizationId
from prismhouse.server.wiring import House, build
from prismhouse.settings import Settings

T = TypeVar("T")
FIELDS = ("label", "confidence", "reasoning", "payload", "metadata")
DOCUMENTS = st.sampled_from(["doc_1", "doc_2"])
LABELS = st.sampled_from(["approved", "rejected", "Approved"])
OBJECTS = st.sampled_from([None, {}, {"a": 1}, {"a": True}, {"a": [1, {"b": None}]}, {"b": 0.5, "a": 1}])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "label": LABELS,
    "confidence": st.sampled_from([None, 0, 0.5, 1]),
    "reasoning": st.sampled_from([None, "", "because"]),
    "payload": OBJECTS,
    "metadata": OBJECTS,
}
DRAFTS = st.fixed_dictionaries(
    {"document_id": DOCUMENTS, "label": LABELS}, optional={name: VALUES[name] for name in FIELDS[1:]}
)
EDITS = st.fixed_dictionaries({}, optional={**VALUES, "label": LABELS | st.none()})
ACTORS = st.sampled_from([Actor(actor_id="key_1", actor_type="api_key"), Actor(actor_id="user_1", actor_type="user")])


def exactly(value: Any) -> str:
    """Return text that is the same for the same JSON: true is not 1, and 1 is 1.0."""
    return json.dumps(value, sort_keys=True).replace(".0", "")


def read(answer: Any) -> Any:
    """Return an answer as a client reads it."""
    return orjson.loads(wire.dumps(answer))


class Model:
    """Annotations as a list of states each; the last is None once it is deleted."""

    def __init__(self) -> None:
        self.states: dict[str, list[dict[str, Any] | None]] = {}
        self.events: list[tuple[str, str, int]] = []

    def create(self, annotation_id: str, draft: dict[str, Any], actor: Actor) -> None:
        state = {**dict.fromkeys(FIELDS), **draft, "actor_id": actor.actor_id, "version": 1}
        self.states[annotation_id] = [state]
        self.events.append(("annotation.created", annotation_id, 1))

    def edit(self, annotation_id: str, edit: dict[str, Any]) -> bool:
        state = self.current(annotation_id)
        if state is None:
            return False
        new = {**state, **edit, "label": edit.get("label") or state["label"]}
        if exactly(new) != exactly(state):
            new["version"] += 1
            self.states[annotation_id].append(new)
            self.events.append(("annotation.updated", annotation_id, new["version"]))
        return True

    def delete(self, annotation_id: str) -> bool:
        state = self.current(annotation_id)
        if state is None:
            return False
        self.states[annotation_id].append(None)
        self.events.append(("annotation.deleted", annotation_id, state["version"]))
        return True

    def current(self, annotation_id: str) -> dict[str, Any] | None:
        return self.states.get(annotation_id, [None])[-1]

    def all(self) -> dict[str, dict[str, Any]]:
        return {one: deepcopy(states[-1]) for one, states in self.states.items() if states[-1] is not None}


class Annotating(RuleBasedStateMachine):
    """Drives the service and the model side by side."""

    house: House
    runner: asyncio.Runner
    annotation = Bundle("annotation")

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @initialize(number=st.integers(0, 2**32))
    def enter(self, number: int) -> None:
        self.random = random.Random(number)
        self.model = Model()
        # What stood at instants, taken between two operations.
        self.past: list[tuple[datetime, dict[str, dict[str, Any]]]] = []
        self.service = self.house.annotations
        self.scope = self.run(self._new_namespace())

    async def _new_namespace(self) -> Scope:
        organization_id, _ = await self.house.organizations.create(name="reviewers")
        namespace_id = NamespaceId(f"ns_{organization_id}")
        async with self.house.db.write() as tx:
            await tx.execute(
                "INSERT INTO namespaces (namespace_id, organization_id, namespace_name) VALUES (%(n)s, %(o)s, 'r')",
                {"n": namespace_id, "o": organization_id},
            )
        return Scope(organization_id=OrganizationId(organization_id), namespace_id=namespace_id)

    def acting(self, actor: Actor) -> Scope:
        return Scope(organization_id=self.scope.organization_id, namespace_id=self.scope.namespace_id, actor=actor)

    @rule(target=annotation, draft=DRAFTS, actor=ACTORS)
    def create(self, draft: dict[str, Any], actor: Actor) -> str:
        request = CreateAnnotation.model_validate_json(json.dumps(draft))
        made = read(self.run(self.service.create(self.acting(actor), request)))
        self.model.create(made["annotation_id"], draft, actor)
        self.same(made, self.model.current(made["annotation_id"]))
        return str(made["annotation_id"])

    @rule(one=annotation, edit=EDITS, actor=ACTORS)
    def patch(self, one: str, edit: dict[str, Any], actor: Actor) -> None:
        request = PatchAnnotation.model_validate_json(json.dumps(edit))
        there = self.model.edit(one, edit)
        try:
            changed = read(self.run(self.service.patch(self.acting(actor), one, request)))
        except AnnotationNotFound:
            assert not there
        else:
            self.same(changed, self.model.current(one))

    @rule(one=annotation, actor=ACTORS)
    def delete(self, one: str, actor: Actor) -> None:
        there = self.model.delete(one)
        try:
            self.run(self.service.delete(self.acting(actor), one))
        except AnnotationNotFound:
            assert not there
        else:
            assert there

    @rule(
        target=annotation,
        drafts=st.lists(DRAFTS, max_size=3),
        edits=st.lists(st.tuples(annotation | st.just("ann_unknown"), EDITS), max_size=6),
        removals=st.lists(annotation | st.just("ann_unknown"), max_size=3),
        actor=ACTORS,
    )
    def bulk(
        self, drafts: list[dict[str, Any]], edits: list[tuple[str, dict[str, Any]]], removals: list[str], actor: Actor
    ) -> Any:
        body = {
            "create": drafts,
            "update": [{"annotation_id": one, **edit} for one, edit in edits],
            "delete": removals,
        }
        request = BulkAnnotations.model_validate_json(json.dumps(body))
        answer = read(self.run(self.service.bulk(self.acting(actor), request)))

        results = answer["results"]
        created = [result["annotation_id"] for result in results[: len(drafts)]]
        for annotation_id, draft in zip(created, drafts, strict=True):
            self.model.create(annotation_id, draft, actor)
        expected = [True] * len(drafts)
        expected += [self.model.edit(one, edit) for one, edit in edits]
        expected += [self.model.delete(one) for one in removals]
        assert [result["success"] for result in results] == expected
        assert [result["annotation_id"] for result in results[len(drafts) :]] == [one for one, _ in edits] + removals
        done = Counter(result["operation"] for result in results if result["success"])
        assert [answer[f"{name}d_count"] for name in ("create", "update", "delete")] == [
            done[name] for name in ("create", "update", "delete")
        ]
        assert answer["failed_count"] == expected.count(False)
        return multiple(*created)

    @invariant()
    def the_present_is_as_the_model_has_it(self) -> None:
        self.past.append((self.run(self._now()), self.model.all()))
        self.list_is(self.model.all(), {})
        label = self.random.choice(["approved", "rejected", "Approved"])
        self.list_is(self.model.all(), {"label": label, "document_id": "doc_1"})
        stats = self.run(self.service.stats(self.scope))
        assert stats == Counter(state["label"] for state in self.model.all().values())

    @invariant()
    def every_instant_is_as_it_was(self) -> None:
        for moment, states in self.random.sample(self.past, min(2, len(self.past))):
            self.list_is(states, {}, as_of=moment)
            self.list_is(states, {"label": self.random.choice(["approved", "rejected"])}, as_of=moment)

    @invariant()
    def every_version_is_as_it_was(self) -> None:
        if not self.model.states:
            return
        one = self.random.choice(list(self.model.states))
        states = self.model.states[one]
        if states[-1] is None:
            try:
                self.run(self.service.versions(self.scope, one))
            except AnnotationNotFound:
                return
            raise AssertionError(one)
        found = read(self.run(self.service.versions(self.scope, one)))
        assert [step["version"] for step in found["versions"]] == list(range(1, len(states) + 1))
        assert [step["current"] for step in found["versions"]] == [False] * (len(states) - 1) + [True]
        for number, state in enumerate(states, start=1):
            at = read(self.run(self.service.at_version(self.scope, one, number)))
            self.same(at, state)
            # What stands since a version began is that version, until the next begins.
            listed = read(self.run(self.listed({}, as_of=datetime.fromisoformat(at["updated_at"]))))[0]
            assert at in listed
            self.rebuilds(at, states[:number])

    def rebuilds(self, at: dict[str, Any], states: list[Any]) -> None:
        """Check that the backward deltas lead from a version to every one before it."""
        values = {name: at[name] for name in FIELDS}
        for revision in reversed(at["revisions"]):
            assert all(exactly(values[name]) != exactly(old) for name, old in revision["prior"].items())
            values |= revision["prior"]
            state = states[revision["version"] - 1]
            assert exactly(values) == exactly({name: state[name] for name in FIELDS})
        assert len(at["revisions"]) == len(states) - 1

    def teardown(self) -> None:
        if hasattr(self, "scope"):
            assert self.run(self._events()) == self.model.events

    async def _now(self) -> datetime:
        async with self.house.db.read() as tx:
            return await tx.fetch_value("SELECT clock_timestamp()")

    async def _events(self) -> list[tuple[str, str, int]]:
        statement = "SELECT * FROM events WHERE namespace_id = %(n)s ORDER BY sequence"
        async with self.house.db.read() as tx:
            rows = await tx.fetch_all(statement, {"n": self.scope.namespace_id})
        return [(row["event_type"], row["resource_id"], row["payload"]["version"]) for row in rows]

    async def listed(self, filters: dict[str, str], as_of: datetime | None) -> tuple[list[dict[str, Any]], int]:
        request = ListAnnotations.model_validate({**filters, "as_of": as_of and as_of.isoformat()})
        return await self.service.list(self.scope, request, skip=0, limit=500)

    def list_is(
        self, states: dict[str, dict[str, Any]], filters: dict[str, str], as_of: datetime | None = None
    ) -> None:
        wanted = {
            one: state for one, state in states.items() if all(state[name] == value for name, value in filters.items())
        }
        found, total = read(self.run(self.listed(filters, as_of)))
        assert total == len(found) == len(wanted)
        order = [(one["created_at"], one["annotation_id"]) for one in found]
        assert [when for when, _ in order] == sorted((when for when, _ in order), reverse=True)
        for one in found:
            self.same(one, wanted[one["annotation_id"]])

    def same(self, found: dict[str, Any], state: dict[str, Any] | None) -> None:
        assert state is not None
        assert exactly({name: found[name] for name in state}) == exactly(state)


def test_every_instant_stays_as_it_was_whatever_is_done(dsn: str, tmp_path: Any) -> None:
    with asyncio.Runner() as runner:
        house = build(Settings(data_dir=tmp_path), dsn)
        runner.run(house.open())
        try:
            Annotating.house, Annotating.runner = house, runner
            thorough = settings.default.max_examples > 1000
            run_state_machine_as_test(
                Annotating,
                settings=settings(max_examples=500 if thorough else 25, stateful_step_count=15),
            )
        finally:
            runner.run(house.close())

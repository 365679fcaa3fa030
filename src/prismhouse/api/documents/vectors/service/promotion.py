"""From vectors of one's own to vectors that a model makes: documents and vectors stay as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prismhouse.api.audit.service import Audit
from prismhouse.api.collections.model.brought import brought_uri
from prismhouse.api.collections.service import Collections
from prismhouse.api.documents.vectors import store
from prismhouse.api.documents.vectors.errors import AlreadyManaged
from prismhouse.api.documents.vectors.schemas import Promotion
from prismhouse.api.namespaces.model import VectorSpace
from prismhouse.api.namespaces.service import Namespaces
from prismhouse.api.web.caller import Scope
from prismhouse.engine.inference.registry import ModelEntry, all_models, fingerprint
from prismhouse.kit.errors import FieldFault, Invalid, field_fault
from prismhouse.storage.postgres.database import Database, NamespaceReader

__all__ = ["Plan", "Promotions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a promotion would leave: the vectors, what is wrong with the request, and what could be mapped."""

    space: VectorSpace
    configs: Sequence[dict[str, Any]]
    faults: Sequence[FieldFault]
    suggestions: Sequence[Mapping[str, Any]]

    @property
    def inference_map(self) -> dict[str, str]:
        """Model by the name of the vector."""
        return {one["name"]: one["inference_service"] for one in self.configs if one.get("inference_service")}


class Promotions:
    """Promotes namespaces with vectors of one's own, or says what would come of it."""

    def __init__(self, db: Database, *, namespaces: Namespaces, collections: Collections, audit: Audit) -> None:
        self._db = db
        self._namespaces = namespaces
        self._collections = collections
        self._audit = audit

    async def plan(self, scope: Scope, request: Promotion) -> Plan:
        """Return what a promotion would do, without doing it."""
        async with self._db.read() as unit:
            return await self._plan(unit.within(scope.namespace_id), request, lock=False)

    async def promote(self, scope: Scope, request: Promotion) -> Plan:
        """Make the namespace managed; raise Invalid for mappings that do not fit, AlreadyManaged."""
        async with self._db.write() as unit:
            tx = unit.within(scope.namespace_id)
            plan = await self._plan(tx, request, lock=True)
            if plan.space.mode != "standalone":
                raise AlreadyManaged(namespace_id=scope.namespace_id)
            if plan.faults:
                raise Invalid(plan.faults)
            space = VectorSpace(mode="managed", configs=plan.configs, inferred=plan.space.inferred)
            await self._namespaces.keep_vector_space(tx, space)
            await self._collections.give_brought_vectors(tx, plan.configs)
            for name, model in plan.inference_map.items():
                await store.note_model(tx, brought_uri(name), model, fingerprint(model))
            await self._audit.record(
                unit,
                scope,
                action="namespace_updated",
                resource_type="namespace",
                resource_id=scope.namespace_id,
                changes={"mode": {"old": "standalone", "new": "managed"}},
            )
        return plan

    async def _plan(self, tx: NamespaceReader, request: Promotion, *, lock: bool) -> Plan:
        space = await self._namespaces.vector_space(tx, lock=lock)
        configs = {config["name"]: dict(config) for config in space.configs}
        faults: list[FieldFault] = []
        for number, mapping in enumerate(request.vector_mappings or ()):
            location: list[str | int] = ["body", "vector_mappings", number]
            if mapping.existing_index not in configs:
                known = ", ".join(configs) or "none"
                faults.append(field_fault([*location, "existing_index"], f"names no vector. There are: {known}"))
            else:
                faults += _give(configs[mapping.existing_index], mapping.inference_service, location)
        for number, added in enumerate(request.add_vectors or ()):
            location = ["body", "add_vectors", number]
            if added.name in configs:
                faults.append(field_fault([*location, "name"], f"{added.name} stands already"))
                continue
            config = {"name": added.name, "dimension": added.dimension, "metric": added.metric}
            configs[added.name] = config
            if added.inference_service is not None:
                faults += _give(config, added.inference_service, location)
        made = list(configs.values())
        return Plan(space=space, configs=made, faults=faults, suggestions=_suggestions(made))


def _give(config: dict[str, Any], service: str, location: Sequence[str | int]) -> list[FieldFault]:
    """Let a model make query vectors for an index; return what speaks against it."""
    place = [*location, "inference_service"]
    model = _models().get(service)
    if model is None:
        return [field_fault(place, f"unknown. There are: {', '.join(_models())}")]
    if config.get("type", "dense") != "dense":
        return [field_fault(place, f"makes one dense vector, and the vectors of {config['name']} are {config['type']}")]
    if model.dimensions != config["dimension"]:
        message = f"makes vectors of {model.dimensions} dimensions, and {config['name']} has {config['dimension']}"
        return [field_fault(place, message)]
    config |= {"inference_service": model.name, "modalities": list(model.modalities), "type": "dense"}
    return []


def _models() -> dict[str, ModelEntry]:
    return {name: model for name, model in all_models().items() if model.task.endswith("_embedding")}


def _suggestions(configs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"existing_index": config["name"], "inference_services": fitting}
        for config in configs
        if not config.get("inference_service") and config.get("type", "dense") == "dense"
        if (fitting := [m.name for m in _models().values() if m.dimensions == config["dimension"]])
    ]

"""From what a user asks for to a collection in which nothing is left open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from prismhouse.api.buckets.model import normalize_schema
from prismhouse.api.collections import store
from prismhouse.api.collections.model import (
    CollectionRow,
    describe_vector_indexes,
    merge_schemas,
    normalize_passthrough,
    output_schema,
    resolve_input_mappings,
)
from prismhouse.api.collections.model.client_defaults import SUBSTITUTED_WARNING, without_substituted
from prismhouse.api.collections.model.features import FEATURE_KEYS
from prismhouse.api.collections.model.mappings import PassthroughField, property_at
from prismhouse.api.collections.schemas import CreateCollection, ExtractorChoice, Source, unserved_warnings
from prismhouse.api.collections.service.errors import CollectionNotFound
from prismhouse.engine.extractors.port import ExtractorRecord
from prismhouse.engine.inference.lent import LentModel, lending
from prismhouse.kit.errors import Invalid, field_fault
from prismhouse.kit.ids import new_id
from prismhouse.query.filters import parse, refuse_annotations
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter

__all__ = ["Bucket", "Buckets", "Catalogue", "Definition", "OwnModels", "Registry", "define"]

Schema = Mapping[str, Any]


class Catalogue(Protocol):
    """The extractors there are."""

    def get(self, name: str, version: str) -> ExtractorRecord:
        """Return the extractor; raise ExtractorNotFound."""
        ...

    def all(self) -> Sequence[ExtractorRecord]:
        """Return every extractor."""
        ...

    def validate_parameters(self, record: ExtractorRecord, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters with defaults filled in; raise Invalid."""
        ...

    def configured(self, record: ExtractorRecord, parameters: Mapping[str, Any]) -> ExtractorRecord:
        """Return the record as it is with these validated parameters: its vectors may follow from them."""
        ...

    def describe(self, record: ExtractorRecord) -> dict[str, Any]:
        """Return the entry of an extractor as the API answers it."""
        ...


class Registry(Protocol):
    """The extractors of a namespace."""

    async def extractors_registered(
        self, tx: NamespaceWriter, wanted: Sequence[tuple[str, str]]
    ) -> Mapping[str, Mapping[str, Any] | None]:
        """Register extractors that are missing; return extractor id -> parameters locked by the namespace."""
        ...


class OwnModels(Protocol):
    """The models that users brought to a namespace."""

    async def resolve(
        self, tx: NamespaceReader, parameters: Mapping[str, Any]
    ) -> tuple[Mapping[str, Any], Sequence[LentModel]]:
        """Return parameters that name such a model by its id, and the models that may be named; raise Invalid."""
        ...


class Bucket(Protocol):
    """What a collection needs to know of a bucket."""

    @property
    def bucket_id(self) -> str:
        """Its id."""
        ...

    @property
    def bucket_schema(self) -> Schema:
        """`{"properties": {...}}`."""
        ...


class Buckets(Protocol):
    """Where buckets are found."""

    async def resolve(self, tx: NamespaceReader, identifier: str) -> Bucket:
        """Return the bucket with this id or name; raise BucketNotFound."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A collection ready to be stored, and the extractor it runs."""

    values: dict[str, Any]
    record: ExtractorRecord
    warnings: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sources:
    source: dict[str, Any]
    source_ids: list[str]
    schemas: dict[str, Schema]
    lineage: list[Any]


async def define(
    tx: NamespaceWriter,
    request: CreateCollection,
    *,
    catalogue: Catalogue,
    buckets: Buckets,
    namespaces: Registry | None = None,
    models: OwnModels | None = None,
) -> Definition:
    """Find the sources, choose the extractor, resolve every mapping and compute both schemas.

    Raises:
        BucketNotFound, CollectionNotFound: a source does not exist.
        Invalid: anything that would make a collection produce nothing, or two things at once.
    """
    sources = await _sources(tx, request.source, buckets=buckets)
    incoming = merge_schemas(sources.schemas, sources.source.get("field_map") or {})
    if request.input_schema is not None:
        incoming = normalize_schema(request.input_schema, ("body", "input_schema"))
    choice = _choice(request)
    record = catalogue.get(choice.feature_extractor_name, choice.version)
    named = (record.name, record.version)
    registered = await namespaces.extractors_registered(tx, [named]) if namespaces else {}
    given = _parameters(record, request, choice, locked=registered.get(record.extractor_id) or {})
    named_by_id, lent = await models.resolve(tx, given) if models else (given, ())
    with lending(lent):
        parameters = catalogue.validate_parameters(record, named_by_id)
        record = catalogue.configured(record, parameters)
    passthrough = normalize_passthrough(choice.passthrough_entries())
    extractor = {
        "feature_extractor_name": record.name,
        "version": record.version,
        "feature_extractor_id": record.extractor_id,
        "parameters": parameters,
        "input_mappings": resolve_input_mappings(record, choice.input_mappings, schema=incoming),
        "field_passthrough": passthrough,
        "include_all_source_fields": choice.include_all_source_fields,
    }
    outgoing = output_schema(record, passthrough, source=incoming, include_all=choice.include_all_source_fields)
    step = {"source_config": sources.source, "feature_extractor": extractor, "output_schema": outgoing}
    warnings = [
        *unserved_warnings(request.stored_config()),
        *_warnings(choice, passthrough, incoming),
    ]
    values = {
        "collection_id": new_id("col", 5),
        "collection_name": request.collection_name,
        "description": request.description,
        "source": sources.source,
        "source_ids": sources.source_ids,
        "feature_extractor": extractor,
        "input_schema": incoming,
        "output_schema": outgoing,
        "vector_indexes": describe_vector_indexes(record),
        "metadata": request.metadata or {},
        "config": {
            **request.stored_config(),
            "source_lineage": [*sources.lineage, step],
            "source_bucket_schemas": dict(sources.schemas) if request.source.type == "bucket" else None,
            "warnings": warnings,
        },
        "enabled": request.enabled,
    }
    return Definition(values=values, record=record, warnings=warnings)


def _choice(request: CreateCollection) -> ExtractorChoice:
    """Return the one build step; raise Invalid for none, several, or one that is not built yet."""
    choices: list[ExtractorChoice] = [
        *(request.feature_extractors or ()),
        *([request.feature_extractor] if request.feature_extractor else ()),
    ]
    keys = request.features or []
    if request.retriever_transform is not None:
        message = "Retriever transforms are not supported by this version. Use feature_extractor."
        raise Invalid([field_fault(["body", "retriever_transform"], message, "unsupported")])
    if len(choices) + len(keys) != 1:
        message = (
            "A collection has exactly one build step: give one of feature_extractor and features, with one"
            f" extractor ({len(choices) + len(keys)} given). Create one collection per extractor."
        )
        raise Invalid([field_fault(["body", "feature_extractor"], message)])
    if choices:
        return choices[0]
    if keys[0] not in FEATURE_KEYS:
        message = f"Unknown feature {keys[0]!r}. Features: {', '.join(FEATURE_KEYS)}; or use feature_extractor."
        raise Invalid([field_fault(["body", "features", 0], message)])
    name, version = FEATURE_KEYS[keys[0]]
    return ExtractorChoice(feature_extractor_name=name, version=version)


def _parameters(
    record: ExtractorRecord, request: CreateCollection, choice: ExtractorChoice, *, locked: Mapping[str, Any]
) -> dict[str, Any]:
    """Join what is given; the namespace's locked parameters hold, and saying otherwise is an error."""
    own = without_substituted(record.name, choice.parameters or {})
    parameters = {**(choice.params or {}), **(own or {})}
    faults = [
        field_fault(["body", "feature_extractor", "parameters", name], f"The namespace sets it to {value!r}.")
        for name, value in locked.items()
        if parameters.get(name, value) != value
    ]
    if faults:
        raise Invalid(faults)
    known = record.parameter_schema.get("properties") or {}
    if request.embedding_task and "embedding_task" in known:
        parameters["embedding_task"] = request.embedding_task
    return {**parameters, **locked}


def _warnings(choice: ExtractorChoice, passthrough: Sequence[PassthroughField], incoming: Schema) -> list[str]:
    warnings = []
    if without_substituted(choice.feature_extractor_name, choice.parameters or {}) is None:
        warnings.append(SUBSTITUTED_WARNING.format(name=choice.feature_extractor_name))
    warnings += [
        f"feature_extractor.{key} is not a known key and has no effect."
        for key in sorted(choice.model_extra or {})
        if key != "feature_extractor_id"
    ]
    for entry in passthrough:
        path = entry["source_path"]
        if property_at(incoming, path) is None and not path.startswith("metadata."):
            warnings.append(
                f"field_passthrough: the source declares no field {path!r}; documents get it only from objects that"
                " carry it undeclared."
            )
    return warnings


async def _sources(tx: NamespaceReader, source: Source, *, buckets: Buckets) -> _Sources:
    given = source.identifiers(tx.namespace_id)
    if source.type == "bucket":
        found = {identifier: await buckets.resolve(tx, identifier) for identifier in given}
        schemas: dict[str, Schema] = {bucket.bucket_id: bucket.bucket_schema for bucket in found.values()}
        answered = _answered(source, {name: bucket.bucket_id for name, bucket in found.items()})
        answered["bucket_ids"] = list(schemas)
        return _Sources(source=answered, source_ids=list(schemas), schemas=schemas, lineage=[])
    upstream = _matched(given, await store.find_many(tx, given))
    rows = {str(row.collection_id): row for row in upstream.values()}
    answered = _answered(source, {name: str(row.collection_id) for name, row in upstream.items()})
    answered |= {"collection_id": next(iter(rows))} if len(rows) == 1 else {}
    answered["collection_ids"] = list(rows)
    answered["inherited_bucket_ids"] = list(dict.fromkeys(one for row in rows.values() for one in _buckets_of(row)))
    return _Sources(
        source=answered,
        source_ids=list(rows),
        schemas={one: row.output_schema for one, row in rows.items()},
        lineage=[step for row in rows.values() for step in row.config.get("source_lineage", [])],
    )


def _matched(given: Sequence[str], records: Sequence[Mapping[str, Any]]) -> dict[str, CollectionRow]:
    rows = [CollectionRow.from_record(record) for record in records]
    matched = {}
    for identifier in given:
        fitting = [row for row in rows if row.collection_id == identifier] or [
            row for row in rows if row.name == identifier
        ]
        if not fitting:
            raise CollectionNotFound(identifier)
        matched[identifier] = fitting[0]
    return matched


def _buckets_of(row: CollectionRow) -> Sequence[str]:
    return row.source_ids if row.source_type == "bucket" else row.source.get("inherited_bucket_ids") or ()


def _answered(source: Source, ids: Mapping[str, str]) -> dict[str, Any]:
    """Return the source as it is stored and answered, with the ids of what was named."""
    answered: dict[str, Any] = {"type": source.type}
    if source.source_filters and source.source_filters.filters:
        path = ("body", "source", "source_filters", "filters")
        refuse_annotations(parse(source.source_filters.filters, path=path), path)
        answered["source_filters"] = {"filters": source.source_filters.filters}
    if source.field_map:
        answered["field_map"] = {
            ids.get(name, name): list(normalize_passthrough(entries, where=("body", "source", "field_map", name)))
            for name, entries in source.field_map_entries().items()
        }
    return answered

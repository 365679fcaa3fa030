"""Stages as people write them to stages as they run: names, aliases, parameters checked, templates allowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from prismhouse.kit.errors import Invalid, field_fault
from prismhouse.query.filters import parse
from prismhouse.query.stages.attribute_filter import AttributeFilterParameters
from prismhouse.query.stages.port import Parameters, StageRecord
from prismhouse.query.stages.registry import stage_record
from prismhouse.query.templates import BadTemplate, has_template, inputs_of

__all__ = ["ANY_TEXT_FEATURE", "StageSpec", "read_stages"]

# The feature of a search that names none: every text feature of the collections.
ANY_TEXT_FEATURE = "text"
_CONFIG_KEYS = {"stage_id", "parameters", "pre_filters", "post_filters"}
_STAGE_KEYS = {"stage_name", "stage_type", "config", "batch_size", "description", "on_error", "output_alias"}
_ON_ERROR = ("error", "skip")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSpec:
    """One stage, checked. `wire` is its canonical form; `parameters` is None while templates are open."""

    name: str
    record: StageRecord
    raw: Mapping[str, Any]
    parameters: Parameters | None
    pre_filters: Any
    skip_on_error: bool
    wire: Mapping[str, Any]

    def filled(self, raw: Mapping[str, Any]) -> Parameters:
        """Return the parameters after templates were filled in; raise Invalid."""
        return _validated(self.record, raw, ["body", "stages", self.name, "config", "parameters"], templates=False)


def read_stages(stages: Sequence[Any]) -> list[StageSpec]:
    """Return checked stages; raise Invalid naming the stage and parameter at fault, or NotBuilt."""
    specs: list[StageSpec] = []
    for number, given in enumerate(stages):
        location: list[str | int] = ["body", "stages", number]
        if not isinstance(given, dict):
            raise Invalid([field_fault(location, "must be an object")])
        wire = _canonical(given, location)
        taken = {spec.name for spec in specs}
        if wire["stage_name"] in taken:
            wire["stage_name"] = next(
                name for n in range(2, len(stages) + 2) if (name := f"{wire['stage_name']}_{n}") not in taken
            )
        specs.append(_spec(wire, location))
    return specs


def _canonical(given: Mapping[str, Any], location: list[str | int]) -> dict[str, Any]:
    """Return the contract's form of a contract, flat or `{type, ...}` stage."""
    if isinstance(given.get("config"), dict):
        config = dict(given["config"])
        unknown = (given.keys() - _STAGE_KEYS - {"parameters"}) | (config.keys() - _CONFIG_KEYS)
        rest = {key: given[key] for key in _STAGE_KEYS if given.get(key) is not None}
    elif "stage_id" in given:
        config = {key: given[key] for key in _CONFIG_KEYS if key in given}
        unknown = given.keys() - _STAGE_KEYS - _CONFIG_KEYS
        rest = {key: given[key] for key in _STAGE_KEYS if given.get(key) is not None}
    elif isinstance(given.get("type"), str):
        config, unknown, rest = _of_type(given), set(), {}
    else:
        raise Invalid([field_fault([*location, "config"], "is missing: {stage_id, parameters}")])
    if unknown:
        message = f"unknown key; accepted: {', '.join(sorted(_STAGE_KEYS | _CONFIG_KEYS))}"
        raise Invalid([field_fault([*location, min(unknown)], message, "extra_forbidden")])
    stage_id = config.get("stage_id")
    if not isinstance(stage_id, str):
        raise Invalid([field_fault([*location, "config", "stage_id"], "is missing")])
    config["parameters"] = config.get("parameters") or {}
    return {**rest, "stage_name": rest.get("stage_name") or stage_id, "config": config}


def _of_type(given: Mapping[str, Any]) -> dict[str, Any]:
    parameters = {key: value for key, value in given.items() if key not in {"type", "feature_extractor"}}
    if given["type"] == "feature_search" and "searches" not in parameters:
        own = {
            "feature_uri": parameters.pop("feature_uri", ANY_TEXT_FEATURE),
            "query": parameters.pop("query", "{{INPUT.query}}"),
        }
        parameters["searches"] = [own]
        # An empty list is how the official client says "wherever it may be".
        if not parameters.get("collection_ids"):
            parameters.pop("collection_ids", None)
    return {"stage_id": given["type"], "parameters": parameters}


def _spec(wire: dict[str, Any], location: list[str | int]) -> StageSpec:
    config = wire["config"]
    record = stage_record(config["stage_id"], [*location, "config", "stage_id"])
    wire["stage_type"] = record.category
    raw = config["parameters"]
    if not isinstance(raw, dict):
        raise Invalid([field_fault([*location, "config", "parameters"], "must be an object")])
    raw = _with_query_default(raw) if record.stage_id == "feature_search" else raw
    if wire.get("on_error", "error") not in _ON_ERROR:
        raise Invalid([field_fault([*location, "on_error"], "must be error or skip")])
    here = [*location, "config", "parameters"]
    parameters = _validated(record, raw, here, templates=True)
    pre_filters = config.get("pre_filters")
    parse(pre_filters, path=[*location, "config", "pre_filters"], templates=True)
    try:
        inputs_of([raw, pre_filters])
    except BadTemplate as error:
        raise Invalid([field_fault(here, error.message)]) from error
    return StageSpec(
        name=wire["stage_name"],
        record=record,
        raw=raw,
        parameters=None if has_template(raw) else parameters,
        pre_filters=pre_filters,
        skip_on_error=wire.get("on_error") == "skip",
        wire=wire,
    )


def _with_query_default(raw: dict[str, Any]) -> dict[str, Any]:
    searches = raw.get("searches")
    if not isinstance(searches, list):
        return raw
    filled = [{"query": "{{INPUT.query}}", **s} if isinstance(s, dict) else s for s in searches]
    return {**raw, "searches": filled}


def _validated(record: StageRecord, raw: Mapping[str, Any], location: list[Any], *, templates: bool) -> Parameters:
    try:
        parameters = record.parameters.model_validate(raw)
    except ValidationError as error:
        faults = [
            field_fault([*location, *item["loc"]], _message(item, record), item["type"])
            for item in error.errors(include_url=False, include_context=False)
            if not (templates and has_template(item["input"]) and item["type"] != "extra_forbidden")
        ]
        if faults:
            raise Invalid(faults) from error
        return Parameters()
    if isinstance(parameters, AttributeFilterParameters):
        parameters.filter(templates=templates)
    return parameters


def _message(item: Any, record: StageRecord) -> str:
    if item["type"] == "extra_forbidden" and len(item["loc"]) == 1:
        return f"unknown parameter of {record.stage_id}; accepted: {', '.join(sorted(record.parameters.model_fields))}"
    return str(item["msg"])

"""All stages by name: those that run, and those of the API that do not yet."""

from __future__ import annotations

from difflib import get_close_matches

from prismhouse.kit.errors import Invalid, field_fault
from prismhouse.query.stages import attribute_filter, feature_search, limit, sort_attribute, sort_relevance
from prismhouse.query.stages.port import NotBuilt, StageRecord

__all__ = ["STAGES", "stage_record"]

STAGES: dict[str, StageRecord] = {
    record.stage_id: record
    for record in (
        feature_search.RECORD,
        attribute_filter.RECORD,
        sort_relevance.RECORD,
        sort_attribute.RECORD,
        limit.RECORD,
    )
}
_BY_ANY_NAME = {name: record for record in STAGES.values() for name in (record.stage_id, *record.aliases)}
_NAMES_NOT_BUILT = (
    "query_expand llm_filter score_threshold agent_search rerank learned_rerank maxsim_rerank mmr score_normalize"
    " group_by aggregate sample cluster summarize deduplicate temporal moment_group json_transform api_call sql_lookup"
    " external_web_search web_search external_reverse_image rag_prepare unwind cross_compare document_enrich"
    " taxonomy_enrich llm_enrich llm_enrichment agentic_enrich web_scrape code_execution"
)
_NOT_BUILT = frozenset(_NAMES_NOT_BUILT.split())


def stage_record(stage_id: str, location: list[str | int]) -> StageRecord:
    """Return the record of a stage or alias; raise Invalid (unknown) or NotBuilt, naming what there is."""
    record = _BY_ANY_NAME.get(stage_id)
    if record is not None:
        return record
    valid = ", ".join(STAGES)
    if stage_id in _NOT_BUILT:
        raise NotBuilt(what=f"Stage {stage_id}", instead=f"Stages that run: {valid}.")
    close = get_close_matches(stage_id, [*_BY_ANY_NAME, *_NOT_BUILT], n=1)
    meant = f" Did you mean {close[0]}?" if close else ""
    raise Invalid([field_fault(location, f"unknown stage {stage_id!r}; valid: {valid}.{meant}")])

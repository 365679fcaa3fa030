"""What to do next about a batch, from what is known of it."""

from __future__ import annotations

from prismhouse.api.batches.model import BatchStatus
from prismhouse.api.batches.service.describe import errors, progress
from prismhouse.api.batches.service.describe.gathered import Gathered

__all__ = ["advice"]


def advice(known: Gathered, *, workers: bool) -> list[str]:
    """Return next steps, the most useful first; none for a batch that is well."""
    row, total, found = known.row, known.total, []
    if row.status is BatchStatus.DRAFT:
        found.append("Submit it: POST .../submit. Without a submit nothing happens, and drafts expire.")
    if row.status in {BatchStatus.QUEUED, BatchStatus.PROCESSING} and not workers:
        found.append("Start a worker: `prismhouse worker`, or `prismhouse serve`. None has been heard of for a minute.")
    if any((tier.audit or {}).get("lost") for tier in known.tiers):
        found.append("Look at GET .../audit: rows are not accounted for. Resubmit the batch to run them again.")
    if total.fetched and not total.after_filter:
        found.append("Loosen the source_filters of the collections: no source passes them.")
    if total.submitted and total.missing_inputs == total.submitted:
        found.append("Check the input_mappings of the collections: no row has the fields that they name.")
    if row.status is BatchStatus.COMPLETED and not total.documents_written and total.deduplicated:
        found.append("Submit with dedup_strategy replace to process again what has documents already.")
    if any(group.error_type == "transient" for group in known.failures):
        found.append("Retry the rows that failed for a passing reason: POST .../retry.")
    found += list(dict.fromkeys(errors.suggestion(group) for group in known.failures))
    if row.status is BatchStatus.FAILED and not found:
        found.append("Resubmit it: POST .../resubmit. What it has written stays.")
    if progress.warnings(known) and not found:
        found.append("Read progress.status_warnings.")
    return list(dict.fromkeys(found))

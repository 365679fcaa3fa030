"""Whatever becomes of the rows, a batch says it as it is."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from prismhouse.api.batches.model import TierRow
from prismhouse.api.batches.service.audit import books
from prismhouse.api.batches.store.facts import Facts
from prismhouse.engine.pipeline.ledger import Counts, Outcome, batch_outcome, tier_outcome

NUMBERS = st.integers(0, 3)


@st.composite
def tiers(draw: st.DrawFn) -> Counts:
    processed, failed, skipped, lost, there = (draw(NUMBERS) for _ in range(5))
    submitted = processed + failed + skipped + lost
    return Counts(
        fetched=submitted + there,
        after_filter=submitted + there,
        deduplicated=there,
        submitted=submitted,
        processed=processed,
        failed=failed,
        skipped=skipped,
        incomplete=draw(st.integers(0, processed)),
        documents_written=processed * draw(st.integers(1, 3)),
    )


@given(st.lists(tiers(), min_size=1, max_size=3))
def test_success_is_said_only_when_it_is_true(given: list[Counts]) -> None:
    outcome = batch_outcome(given)
    total = Counts.total(given)

    if outcome is Outcome.COMPLETED:
        assert not total.failed
        assert not total.lost
        assert not total.incomplete
        assert total.documents_written or total.deduplicated
    if outcome is Outcome.COMPLETED_WITH_ERRORS:
        assert total.documents_written or total.deduplicated
        assert total.failed or total.lost or total.incomplete
    if outcome is Outcome.FAILED:
        nothing = not (total.documents_written or total.deduplicated)
        assert nothing or any(tier_outcome(tier) is Outcome.FAILED for tier in given)


@given(tiers(), tiers())
def test_counts_add_up(first: Counts, second: Counts) -> None:
    total = Counts.total([first, second])

    assert total.submitted == first.submitted + second.submitted
    assert total.lost == first.lost + second.lost
    assert total == first + second


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    processed, withdrawn, failed, skipped, missing, waiting = (draw(NUMBERS) for _ in range(6))
    rows = processed + withdrawn + failed + skipped + missing + waiting
    parts = {"processed": processed, "withdrawn": withdrawn, "failed": failed, "skipped": skipped}
    return Facts(rows=rows, open=waiting, missing=missing, **parts)


STATUSES = st.sampled_from(["IN_PROGRESS", "COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"])


@given(facts(), NUMBERS, STATUSES)
def test_books_balance_exactly_when_nothing_is_lost(found: Facts, never_in_a_chunk: int, status: str) -> None:
    over = None if status == "IN_PROGRESS" else datetime.now(UTC)
    tier = TierRow(tier=0, task_id="t", status=status, started_at=over, completed_at=over)  # type: ignore[arg-type]
    counts = Counts(
        submitted=found.rows + never_in_a_chunk,
        processed=found.processed + found.withdrawn,
        failed=found.failed,
        skipped=found.skipped,
    )

    shown = books(tier, counts, found, durable=True)

    if over is None:
        assert (shown["submitted"], shown["lost"], shown["balanced"]) == (None, 0, False)
        return
    stopped = status in {"CANCELED", "FAILED"}
    gone = found.missing + never_in_a_chunk + (0 if stopped else found.open)
    assert shown["lost"] == gone
    assert shown["balanced"] == (gone == 0)
    assert shown["submitted"] == shown["processed"] + shown["failed"] + shown["skipped"] + shown["lost"]

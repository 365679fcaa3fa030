"""Whatever becomes of the rows, a batch says it as it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

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

"""What a reader of events is told, whatever it has seen before."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from prismhouse.api.batches.model import BatchStatus
from prismhouse.api.batches.service.moments import Moment, Seen, news
from prismhouse.engine.pipeline.ledger import Counts


def moment(status: str, tiers: dict[str, tuple[int, int]], *, current: int = 0) -> Moment:
    """Return a batch whose tiers have (status, (submitted, processed)) in order, named `0:PENDING` and so on."""
    batch: Any = SimpleNamespace(
        batch_id="btch_1",
        status=BatchStatus(status),
        object_count=10,
        current_tier=current,
        dag_tiers=[["col"]] * len(tiers),
        started_at=None,
        queued_at=None,
        completed_at=None,
        failure_reason=None,
        failure_category=None,
    )
    rows: Any = [
        SimpleNamespace(tier=int(name[0]), status=name[2:], started_at=None, completed_at=None) for name in tiers
    ]
    counts: Any = [
        SimpleNamespace(tier=int(name[0]), collection_id="col", counts=Counts(submitted=submitted, processed=processed))
        for name, (submitted, processed) in tiers.items()
    ]
    return Moment(batch=batch, tiers=rows, counts=counts)


QUEUED = moment("QUEUED", {"0:PENDING": (0, 0), "1:PENDING": (0, 0)})
RUNNING = moment("PROCESSING", {"0:IN_PROGRESS": (10, 5), "1:PENDING": (0, 0)})
LATER = moment("PROCESSING", {"0:COMPLETED": (10, 10), "1:IN_PROGRESS": (10, 3)}, current=1)
ENDED = moment("COMPLETED", {"0:COMPLETED": (10, 10), "1:COMPLETED": (10, 10)}, current=1)


def names(moment: Moment, seen: Seen) -> list[str]:
    return [event.name for event in news(moment, seen)]


def test_a_new_reader_is_told_how_it_stands() -> None:
    assert names(QUEUED, Seen()) == ["progress"]
    assert names(RUNNING, Seen()) == ["tier", "progress"]
    assert names(ENDED, Seen()) == ["tier", "tier", "progress", "end"]


def test_nothing_is_told_twice() -> None:
    for each in (QUEUED, RUNNING, LATER, ENDED):
        assert names(each, each.seen) == []


@pytest.mark.parametrize("steps", [[QUEUED, RUNNING, LATER, ENDED], [QUEUED, ENDED], [LATER, ENDED]])
@pytest.mark.parametrize("cut", range(7))
def test_a_reader_who_comes_again_misses_nothing(steps: list[Moment], cut: int) -> None:
    whole = []
    seen = Seen()
    for step in steps:
        for event in news(step, seen):
            whole.append(event)
            seen = Seen.of(event.event_id)

    known = whole[:cut]
    last = Seen.of(known[-1].event_id) if known else Seen()
    rest = list(news(steps[-1], last))

    assert [event.name for event in whole][-1] == "end"
    assert sum(event.name == "end" for event in whole) == 1
    tiers = [
        event.data["tier_num"] for event in [*known, *rest] if event.name == "tier" and "COMPL" in event.data["status"]
    ]
    assert sorted(tiers) == [0, 1]
    if cut < len(whole):
        assert rest[-1].name == "end"
    else:
        assert rest == []


def test_progress_moves_and_ends_at_hundred() -> None:
    shares = [each.share for each in (QUEUED, RUNNING, LATER, ENDED)]

    assert shares == sorted(shares)
    assert shares == [0, 0.25, 0.65, 1.0]


def test_a_batch_that_is_retried_goes_on_for_who_saw_its_end() -> None:
    again = replace(RUNNING)

    assert names(again, ENDED.seen) == ["tier", "tier", "progress"]


@pytest.mark.parametrize(
    "given", [None, "", "1", "a.b.c.d", "..x.1", "x" * 10_000, "P.I.1.2.3", "é.é.é.é", "A.B.--1.0"]
)
def test_an_id_that_is_not_ours_means_a_new_reader(given: str | None) -> None:
    assert Seen.of(given) == Seen()


def test_the_id_of_an_event_is_one_line() -> None:
    for event in news(ENDED, Seen()):
        assert event.event_id.isascii()
        assert event.encode().count(b"\n") == 4
        assert Seen.of(event.event_id).event_id == event.event_id

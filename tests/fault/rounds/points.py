"""The named points of the pipeline at which a process is killed: what is called there, and on which side of it.

The product knows nothing of them. A name that is gone, or that is no longer reached, fails the suite loudly: mend the
list here, and add a point for every new commit and every new effect outside the database.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["POINTS", "Point"]

Moment = Literal["before", "after", "before commit", "after commit"]
Process = Literal["api", "worker", "extraction"]
_BATCHES = "prismhouse.api.batches"
_RUN = f"{_BATCHES}.service.run"
_COMMITTED = f"{_BATCHES}.service.commit"
_TIERS = f"{_BATCHES}.service.tiers"
_FINISH = f"{_BATCHES}.service.finish"
_STORE = f"{_BATCHES}.store"
_HOOKS = "prismhouse.api.webhooks"
_MANAGER = "procrastinate.manager:JobManager"


@dataclass(frozen=True, slots=True)
class Point:
    """A moment of one process: on a side of a call, or of the first commit within a call.

    Attributes:
        target: `module:name` or `module:Class.name`, as the caller looks it up.
        most_hits: an armed point kills at one of its first hits; one that a round reaches once has 1.
    """

    name: str
    process: Process
    moment: Moment
    target: str
    most_hits: int = 1


def _both(
    name: str, process: Process, target: str, moments: tuple[Moment, Moment], most_hits: int = 1
) -> tuple[Point, Point]:
    first, second = moments
    return Point(f"{name}: {first}", process, first, target, most_hits), Point(
        f"{name}: {second}", process, second, target, most_hits
    )


_CALL: tuple[Moment, Moment] = ("before", "after")
_COMMIT: tuple[Moment, Moment] = ("before commit", "after commit")

POINTS: tuple[Point, ...] = (
    # What clients ask for. After the commit the work is done and nobody was told.
    Point("objects, file stored: after", "api", "after", "prismhouse.storage.blobs.local:LocalBlobStore.put"),
    *_both("objects created", "api", "prismhouse.api.objects.service:Objects.create_many", _COMMIT),
    *_both("batch created", "api", f"{_BATCHES}.service.batches:Batches.create", _COMMIT),
    *_both("batch submitted", "api", f"{_BATCHES}.service.batches:Batches.submit", _COMMIT),
    *_both("batch cancelled", "api", f"{_BATCHES}.service.batches:Batches.cancel", _COMMIT),
    *_both("batch retried", "api", f"{_BATCHES}.service.control:Control.retry", _COMMIT),
    *_both("batch resubmitted", "api", f"{_BATCHES}.service.control:Control.resubmit", _COMMIT),
    Point("objects processed at once: after", "api", "after", f"{_BATCHES}.service.auto:AutoProcess.submit"),
    *_both("collection triggered", "api", f"{_BATCHES}.service.batches:Batches.trigger", _COMMIT),
    # A job's life.
    Point("worker registered: after", "worker", "after", f"{_MANAGER}.register_worker"),
    Point("job taken: after", "worker", "after", "prismhouse.storage.jobs.lanes:_fetch", 5),
    *_both("job recorded as ended", "worker", f"{_MANAGER}.finish_job", _CALL, 5),
    Point("jobs rescued: after", "worker", "after", "prismhouse.storage.jobs.worker:_rescue"),
    # A tier begins.
    Point("tier: before", "worker", "before", f"{_BATCHES}.jobs:start_tier", 3),
    Point("tier announced: after", "worker", "after", f"{_TIERS}:_announce", 3),
    Point("tier, sources found: after", "worker", "after", f"{_TIERS}:sources_of", 3),
    Point("tier, chunks stored: after", "worker", "after", f"{_STORE}.chunks:insert_chunks", 3),
    Point("tier, first chunks queued: after", "worker", "after", f"{_TIERS}:enqueue_pending", 3),
    *_both("tier", "worker", f"{_BATCHES}.jobs:start_tier", _COMMIT, 3),
    # A chunk is read and extracted.
    Point("chunk: before", "worker", "before", f"{_BATCHES}.jobs:run_chunk", 5),
    Point("chunk, objects loaded: after", "worker", "after", f"{_RUN}:load_objects", 3),
    Point("chunk, documents loaded: after", "worker", "after", f"{_RUN}:load_documents", 3),
    Point("chunk begun: after", "worker", "after", f"{_RUN}:begin", 5),
    *_both("chunk extracted", "worker", f"{_BATCHES}.service.extract:Extraction.run", _CALL, 5),
    *_both("rows in the extraction process", "extraction", "tests.fault.rounds.rows:fake_rows", _CALL, 3),
    Point("chunk, guilty row found: after", "worker", "after", f"{_BATCHES}.service.extract:_resource_failure"),
    Point("chunk, artifacts stored: after", "worker", "after", f"{_BATCHES}.service.compute:store_files"),
    Point("chunk, documents made: after", "worker", "after", f"{_RUN}:extract", 5),
    # A chunk is written: one transaction.
    Point("chunk locked: after", "worker", "after", f"{_STORE}.chunks:lock_chunk", 5),
    *_both("documents written", "worker", "prismhouse.api.documents.service:Documents.write", _CALL, 5),
    Point("vectors written: after", "worker", "after", f"{_COMMITTED}:_write_vectors", 5),
    Point("documents told of: after", "worker", "after", f"{_COMMITTED}:tell_written", 5),
    Point("failures noted: after", "worker", "after", f"{_STORE}.ledger:add_failures", 5),
    Point("chunk marked as done: after", "worker", "after", f"{_STORE}.chunks:finish_chunk", 5),
    Point("rows counted: after", "worker", "after", f"{_STORE}.ledger:add_counts", 5),
    Point("amounts added: after", "worker", "after", f"{_STORE}.amounts:add", 5),
    Point("rows to try again put back: after", "worker", "after", f"{_STORE}.work:put_back"),
    Point("cost learned: after", "worker", "after", f"{_STORE}.work:learn", 5),
    Point("next chunk queued: after", "worker", "after", f"{_COMMITTED}:enqueue_pending", 5),
    *_both("chunk", "worker", f"{_BATCHES}.jobs:run_chunk", _COMMIT, 5),
    # Ends.
    *_both("tier ended", "worker", f"{_COMMITTED}:end_tier", _CALL, 3),
    *_both("batch ended", "worker", f"{_FINISH}:end_batch", _CALL, 2),
    Point("tier audited: after", "worker", "after", f"{_FINISH}:audit_tier", 3),
    Point("journal written: after", "worker", "after", f"{_STORE}.journal:record", 5),
    Point("objects marked: after", "worker", "after", f"{_FINISH}:_mark_objects", 2),
    Point("tasks ended: after", "worker", "after", f"{_FINISH}:_end_tasks", 2),
    Point("end told of: after", "worker", "after", f"{_FINISH}:tell_end", 2),
    Point("event written: after", "worker", "after", "prismhouse.api.webhooks.events:Events.emit", 2),
    # Those who are told. A delivery that was sent and not recorded is sent again.
    *_both("events placed", "worker", f"{_HOOKS}.feed.service:Feed.place", _COMMIT, 3),
    *_both("deliveries claimed", "worker", f"{_HOOKS}.deliveries.deliverer:Deliverer._claim", _COMMIT, 3),
    *_both("event delivered", "worker", f"{_HOOKS}.deliveries.deliverer:attempt", _CALL, 3),
    *_both("deliveries recorded", "worker", f"{_HOOKS}.deliveries.deliverer:Deliverer._advance", _COMMIT, 3),
    *_both("webhook of a batch", "worker", f"{_BATCHES}.jobs:notify", _CALL),
    *_both("indexes looked after", "worker", "prismhouse.storage.postgres.vectors:build_approximate_indexes", _CALL),
)

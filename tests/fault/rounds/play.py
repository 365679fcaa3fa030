"""One round: clients work, processes die, everything recovers, and the books are checked."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.fault.flow import processes_under
from tests.fault.rounds.books import Books, Submitted
from tests.fault.rounds.client import Client
from tests.fault.rounds.listeners import FeedReader
from tests.fault.rounds.points import POINTS, Point
from tests.fault.rounds.rows import HEALED
from tests.fault.rounds.stage import Stage
from tests.fault.rounds.texts import TIERS, Expected, expected, material
from tests.running import Api

__all__ = ["Kill", "Round", "at_points", "by_the_clock", "play", "rounds"]

_RANDOM_KINDS = ("worker", "worker", "worker", "api", "api", "postgres", "postgres", "extraction", "supervisor")
_LONGEST_SECONDS = 5.0
_SHARE_OF_POSTGRES = 0.3
_POINTS_AT_ONCE = 7
_ENDED = {"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"}


@dataclass(frozen=True, slots=True)
class Kill:
    """A process that dies at a moment of the clock."""

    after_seconds: float
    kind: str


@dataclass(frozen=True)
class Round:
    """What is killed: at points, as (hit, victim), and by the clock."""

    name: str
    points: dict[str, tuple[int, str]]
    kills: tuple[Kill, ...] = ()

    def __str__(self) -> str:
        at = [f"{name} (hit {hit}: {victim})" for name, (hit, victim) in self.points.items()]
        by = [f"{kill.kind} after {kill.after_seconds:.2f} s" for kill in self.kills]
        return f"{self.name}: {'; '.join([*at, *by])}"


def at_points(name: str, points: Sequence[Point], dice: random.Random, *, postgres: float = 0.0) -> Round:
    """Return a round that kills at each of these points; PostgreSQL instead of the process as often as said."""
    chosen = {}
    for point in points:
        whom = "postgres" if point.process != "extraction" and dice.random() < postgres else "self"
        chosen[point.name] = (dice.randint(1, point.most_hits), whom)
    return Round(name, chosen)


def by_the_clock(name: str, dice: random.Random, *, points: Sequence[Point] = ()) -> Round:
    """Return a round in which one to four processes die at any time, and others at the points."""
    # A row whose process dies again and again is taken for the cause: once a round is what an innocent one bears.
    kinds = dice.sample(_RANDOM_KINDS, dice.randint(1, 4))
    kills = [Kill(dice.uniform(0.0, _LONGEST_SECONDS), kind) for kind in kinds]
    chosen = at_points(name, points, dice, postgres=_SHARE_OF_POSTGRES).points
    return Round(name, chosen, tuple(sorted(kills, key=lambda kill: kill.after_seconds)))


def rounds(seed: int, count: int) -> list[Round]:
    """Return rounds: every point once, every point with PostgreSQL once where there is room for it, and the clock's.

    Args:
        seed: of everything that is drawn.
        count: how many rounds; at least one in two goes by the clock.
    """
    dice = random.Random(seed)
    most = -(-len(POINTS) // _POINTS_AT_ONCE)
    at_self = min(most, max(1, count // 2))
    at_postgres = min(most, count // 2 - at_self)
    return [
        *_spread("points", at_self, dice, postgres=0.0),
        *_spread("points, PostgreSQL", at_postgres, dice, postgres=1.0),
        *(
            by_the_clock(f"clock {number}", dice, points=dice.sample(POINTS, dice.choice((0, 0, 1, 2))))
            for number in range(count - at_self - at_postgres)
        ),
    ]


def _spread(name: str, count: int, dice: random.Random, *, postgres: float) -> list[Round]:
    """Share all points among some rounds."""
    points = dice.sample(POINTS, len(POINTS))
    return [at_points(f"{name} {number}", points[number::count], dice, postgres=postgres) for number in range(count)]


def play(stage: Stage, game: Round) -> list[str]:
    """Play a round and return a line for everything that went wrong."""
    work = _Work(stage, game.name)
    stage.arm({name: {"hit": hit, "victim": victim} for name, (hit, victim) in game.points.items()})
    stopped = threading.Event()
    killer = threading.Thread(target=_kill_by_the_clock, args=(stage, game.kills, stopped, work.client))
    killer.start()
    try:
        with work.books.feed.reading():
            work.first_half()
            work.second_half()
            work.wait_for_ends()
            killer.join()
        reached = stage.reached()
        stage.server.wait_until_healthy()
        with stage.database() as connection:
            wrong = work.books.check(connection)
    finally:
        stopped.set()
        killer.join()
        stage.arm({})
    wrong += [f"nobody died at: {name}" for name in game.points if _file_name(name) not in reached]
    alive = processes_under(stage.server.process.pid)
    return [*wrong, *(f"process {pid} lives after: {name}" for name, pid in reached.items() if pid in alive)]


def _file_name(point: str) -> str:
    return point.replace(" ", "-").replace(":", "").replace(",", "")


def _kill_by_the_clock(stage: Stage, kills: Sequence[Kill], stopped: threading.Event, client: Client) -> None:
    began = time.monotonic()
    for kill in kills:
        if stopped.wait(max(0.0, began + kill.after_seconds - time.monotonic())):
            return
        stage.kill(kill.kind)
        client.api.server = stage.server


class _Work:
    """What users do in a round, and what must come of it."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage = stage
        house = Client(Api(stage.server))
        extractors = [{"feature_extractor_name": "text_extractor", "version": "v1"}]
        made = house.read(
            "POST", "/v1/namespaces", {"namespace_name": f"{name}-{time.time_ns()}", "feature_extractors": extractors}
        )
        self.client = Client(Api(stage.server, made["namespace_id"]))
        schema = {"properties": {"t": {"type": "text"}, "name": {"type": "string"}}}
        bucket = self.client.read("POST", "/v1/buckets", {"bucket_name": "b", "bucket_schema": schema})
        self.client.bucket = bucket["bucket_id"]
        source: dict[str, Any] = {"type": "bucket", "bucket_ids": [bucket["bucket_id"]]}
        for number, tier in enumerate(TIERS):
            extractor = {**extractors[0], "input_mappings": {"text": "text" if number else "t"}}
            body = {"collection_name": tier, "source": source, "feature_extractor": extractor}
            upstream = self.client.read("POST", "/v1/collections", body)["collection_id"]
            source = {"type": "collection", "collection_ids": [upstream]}
        # A connection of its own: it reads while the others work.
        feed = FeedReader(Client(self.client.api))
        self.books = Books(self.client, made["namespace_id"], feed, stage.receiver)
        self.texts: dict[str, str] = {}
        self.ids: dict[str, list[str]] = {}

    def first_half(self) -> None:
        """Fresh objects in five ways, one batch cancelled in the middle."""
        client = self.client
        self._add("mixed", material("m"))
        self._add("poison", ["good p", "kill p", "good p too"])
        self._add("twice", ["good t|good t again", "once t"])
        # Some are written at once, the others not for a long time.
        self._add("stopped", [*(f"good s{n}" for n in range(3)), *(f"slow 2 s{n}" for n in range(6))])
        self._add("triggered", ["good g", "once g"])
        sick = f"h{time.time_ns()}"
        self._add("healed", [f"heals {sick} now|good {sick}", f"good {sick} too"])
        mixed = self.ids["mixed"]
        self._submit(
            "mixed", client.batch("mixed", [*mixed, *mixed[:3]], webhook_url=self.books.receiver.url_of_batches)
        )
        self._submit("stopped", client.batch("stopped", self.ids["stopped"]), cancelled=True)
        self._submit("poison", client.batch("poison", self.ids["poison"]))
        self._submit("twice", client.batch("twice", self.ids["twice"]))
        self._submit("healed", client.batch("healed", self.ids["healed"]))
        self._add("at once", ["good a", "fine a|good a more"], auto_process=True)
        self._submit("at once", client.batch_of(self.ids["at once"]))
        self._submit("triggered", client.trigger(TIERS[0], self.ids["triggered"]))
        stopped = self.books.batches["stopped"]
        client.wait(stopped.batch_id, lambda batch: bool(batch["documents_written"]) or batch["status"] in _ENDED)
        if not client.cancel(stopped.batch_id):
            self._submit("stopped", stopped.batch_id)
        client.wait(self.books.batches["healed"].batch_id, lambda batch: batch["status"] in _ENDED)
        (self.stage.marks / f"{HEALED}{sick}").touch()

    def second_half(self) -> None:
        """The same objects again: skipped, replaced and forced; batches retried and resubmitted."""
        for name in ("mixed", "twice", "at once"):
            self.client.wait(self.books.batches[name].batch_id, lambda batch: batch["status"] in _ENDED)
        again = self.client.batch("mixed again", self.ids["mixed"])
        self.books.batches["mixed again"] = Submitted(
            again, self._again(self.ids["mixed"]), "COMPLETED_WITH_ERRORS", written=False
        )
        self._submit("forced", self.client.batch("forced", self.ids["twice"], dedup_strategy="force"), of="twice")
        replaced = self.client.batch("replaced", self.ids["at once"], dedup_strategy="replace")
        self._submit("replaced", replaced, of="at once")
        self.books.batches["at once"].stands = False
        healed, triggered = self.books.batches["healed"], self.books.batches["triggered"]
        self.client.again(healed.batch_id, "retry", {"retry_mode": "all"})
        self.client.wait(triggered.batch_id, lambda batch: batch["status"] in _ENDED)
        self.client.again(triggered.batch_id, "resubmit", {"from_tier": 1})
        healed.runs = triggered.runs = 2
        # All that the later tiers would make is there.
        rows = triggered.expected.submitted[0]
        triggered.expected.submitted = [rows, 0, 0]
        triggered.counted = [rows, 0, 0]

    def wait_for_ends(self) -> None:
        """Return when every batch has ended."""
        for batch in self.books.batches.values():
            self.client.wait(batch.batch_id, lambda shown: shown["status"] in _ENDED)

    def _add(self, group: str, texts: Sequence[str], *, auto_process: bool = False) -> None:
        named = {f"{group} {number}": text for number, text in enumerate(texts)}
        made = self.client.objects(named, auto_process=auto_process)
        self.ids[group] = list(made.values())
        self.texts |= {object_id: named[name] for name, object_id in made.items()}
        self.books.objects |= set(made.values())

    def _submit(self, name: str, batch_id: str, *, of: str | None = None, cancelled: bool = False) -> None:
        wanted = expected(self.texts, self.ids[of or name])
        status = "CANCELED" if cancelled else wanted.status
        self.books.batches[name] = Submitted(batch_id, wanted, status, cancelled=cancelled)

    def _again(self, object_ids: Sequence[str]) -> Expected:
        """What a batch does that skips sources with documents: only what gave none is tried, and fails as before."""
        first = expected(self.texts, object_ids)
        blank = sum(self.texts[name].startswith("blank") for name in object_ids)
        failed = Counter(tier for tier, _, _ in first.failures.elements())
        submitted = [failed[number] + (blank if number == 0 else 0) for number in range(len(TIERS))]
        return Expected(documents=first.documents, failures=first.failures, submitted=submitted)

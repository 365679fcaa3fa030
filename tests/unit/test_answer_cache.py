"""Answers that were given before: near texts, time, room, and none for another namespace."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest

from prismhouse.api.inference.errors import InferenceBusy
from prismhouse.api.inference.service.cache import AnswerCache, Question
from prismhouse.api.inference.service.room import Room
from prismhouse.engine.extractors.port import FloatArray


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def place(degrees: float) -> FloatArray:
    turned = np.deg2rad(degrees)
    return np.array([np.cos(turned), np.sin(turned)], np.float32)


def question(text: str, *, space: str = "ns_a", model: str = "m", **parameters: float) -> Question:
    return Question.of(space, model, parameters, "text", text.encode())


def test_the_nearest_answer_is_given_when_it_is_near_enough() -> None:
    cache = AnswerCache(most_bytes=10_000, seconds=60, clock=Clock())
    cache.keep(question("at 0"), "at 0", vector=place(0))
    cache.keep(question("at 30"), "at 30", vector=place(30))
    asked = question("at 20")

    assert cache.nearest(asked, place(20), delta=0.02) == "at 30"
    assert cache.nearest(asked, place(15.1), delta=0.02) is None
    assert cache.nearest(question("at 20", space="ns_b"), place(30), delta=1) is None
    assert cache.nearest(question("at 20", model="n"), place(30), delta=1) is None
    assert cache.nearest(question("at 20", temperature=0.5), place(30), delta=1) is None


def test_an_answer_is_forgotten_when_its_time_is_over() -> None:
    clock = Clock()
    cache = AnswerCache(most_bytes=10_000, seconds=60, clock=clock)
    cache.keep(question("a"), "A", vector=place(0))
    clock.now = 60.0

    assert cache.nearest(question("b"), place(0), delta=1) is None
    assert cache.find(question("a")) is None
    assert cache.held_bytes == 0


def test_one_namespace_drives_out_none_of_another_when_it_asks_much() -> None:
    cache = AnswerCache(most_bytes=10_000, seconds=60, clock=Clock())
    cache.keep(question("a", space="ns_quiet"), "A")
    for number in range(100):
        cache.keep(question(str(number), space="ns_loud"), "x" * 100, vector=place(number))

    assert cache.find(question("a", space="ns_quiet")) == "A"
    assert cache.find(question("0", space="ns_loud")) is None
    assert cache.find(question("99", space="ns_loud")) == "x" * 100
    assert cache.held_bytes <= 10_000


def test_nothing_is_kept_when_there_is_no_room_at_all() -> None:
    cache = AnswerCache(most_bytes=0, seconds=60)
    cache.keep(question("a"), "A")

    assert cache.find(question("a")) is None


def test_half_of_the_room_is_left_for_others_when_one_asks_much() -> None:
    room = Room(calls=4, held_bytes=100, call_bytes=1_000)
    refused = []

    with ExitStack() as kept:
        for share, size in [("loud", 25)] * 3 + [("quiet", 25), ("quiet", 26), ("third", 0)]:
            try:
                call = kept.enter_context(room.call(share))
                kept.enter_context(call.hold(size))
            except InferenceBusy:
                refused.append(share)

    assert refused == ["loud", "quiet", "third"]
    with room.call("loud") as call, call.hold(1_000):
        pass  # all is given back, and who is alone may have what there is not


def test_a_call_that_alone_holds_any_gets_what_one_file_needs() -> None:
    room = Room(calls=4, held_bytes=100, call_bytes=180)

    with room.call("large") as large, large.hold(60), large.hold(60), large.hold(60):
        with pytest.raises(InferenceBusy), large.hold(1):
            pass
        for share in ("large", "other"):
            with room.call(share) as second, pytest.raises(InferenceBusy), second.hold(1):
                pass
    with room.call("large") as large, large.hold(40), room.call("large") as second, second.hold(10):
        with pytest.raises(InferenceBusy), large.hold(10):
            pass
        assert large.held_bytes == 40
    with room.call("other") as call, call.hold(100):
        pass

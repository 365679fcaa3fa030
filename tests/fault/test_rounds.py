"""Rounds of kill -9: at every named point of a batch, and at any time. Nothing acknowledged is lost or done twice.

The suite plays every eighth of sixteen rounds, the same each time; the others are marked slow. `make test-faults` plays
50 rounds of a new seed, which is shown first; PRISMHOUSE_FAULT_SEED plays them again.
"""

from __future__ import annotations

import importlib
import os
from functools import reduce

import pytest
from tests.fault.rounds.play import play, rounds
from tests.fault.rounds.points import POINTS
from tests.fault.rounds.stage import Stage

SEED = int(os.environ.get("PRISMHOUSE_FAULT_SEED", "1"))
COUNT = int(os.environ.get("PRISMHOUSE_FAULT_ROUNDS", "16"))
_QUICK_ONE_IN = 8
GAMES = [
    pytest.param(game, id=game.name.replace(" ", "-"), marks=[pytest.mark.slow] if number % _QUICK_ONE_IN else [])
    for number, game in enumerate(rounds(SEED, COUNT))
]


@pytest.fixture(scope="module")
def stage(tmp_path_factory, request):
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(f"\nPRISMHOUSE_FAULT_SEED={SEED} PRISMHOUSE_FAULT_ROUNDS={COUNT}")
    made = Stage(tmp_path_factory.mktemp("rounds"))
    yield made
    made.stop()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("game", GAMES)
def test_nothing_is_lost_or_done_twice_when_processes_are_killed(stage, game):
    assert play(stage, game) == [], f"seed {SEED}, {game}"


def test_points_name_what_is_there_and_each_is_named_once():
    for point in POINTS:
        module, _, path = point.target.partition(":")
        assert callable(reduce(getattr, path.split("."), importlib.import_module(module))), point

    assert len({point.name for point in POINTS}) == len(POINTS)
    assert {point.process for point in POINTS} == {"api", "worker", "extraction"}


@pytest.mark.parametrize("count", [16, 50])
def test_every_point_kills_in_some_round_when_there_are_few_rounds(count):
    named = [name for game in rounds(SEED, count) for name in game.points]

    assert set(named) == {point.name for point in POINTS}
    assert any(game.kills for game in rounds(SEED, count))

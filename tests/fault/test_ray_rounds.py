"""The rounds of test_rounds.py on a Ray cluster of two nodes: in each a node dies, and workers and the API with it.

`make test-ray` plays a few; PRISMHOUSE_FAULT_SEED and PRISMHOUSE_FAULT_ROUNDS say which and how many.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from tests.fault.rounds.play import Round, play, ray_rounds
from tests.fault.rounds.stage import Stage
from tests.ray_cluster import TwoNodes

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SEED = int(os.environ.get("PRISMHOUSE_FAULT_SEED", "1"))
COUNT = int(os.environ.get("PRISMHOUSE_FAULT_ROUNDS", "5"))


@pytest.fixture(scope="module")
def stage(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest, ray_cluster: TwoNodes
) -> Iterator[Stage]:
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(f"\nPRISMHOUSE_FAULT_SEED={SEED} PRISMHOUSE_FAULT_ROUNDS={COUNT}")
    made = Stage(tmp_path_factory.mktemp("rounds"), ray_cluster)
    yield made
    made.stop()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("game", ray_rounds(SEED, COUNT), ids=lambda game: game.name.replace(" ", "-"))
def test_nothing_is_lost_or_done_twice_when_a_node_dies(stage: Stage, game: Round) -> None:
    assert play(stage, game) == [], f"seed {SEED}, {game}"

"""What several pictures of one scene say together."""

from __future__ import annotations

import pytest

from prismhouse.engine.extractors.ocr import merged


@pytest.mark.parametrize(
    ("pictures", "told"),
    [
        ([], []),
        ([["one line"], ["one line"]], ["one line"]),
        ([["head", "foot"], ["head", "body", "foot"]], ["head", "body", "foot"]),
        ([["body", "foot"], ["head", "body"]], ["head", "body", "foot"]),
        ([["first slide"], ["second page"]], ["first slide", "second page"]),
        ([["the quick brown fox"], ["the quick brovn fox"]], ["the quick brown fox"]),
        ([["the quick brown"], ["the quick brown fox"]], ["the quick brown fox"]),
        ([["Page 1 of 20"], ["Page 2 of 20"]], ["Page 1 of 20", "Page 2 of 20"]),
        ([["yes", "yes"]], ["yes", "yes"]),
        ([["fresh bread", "fresh bread daily"]], ["fresh bread", "fresh bread daily"]),
        ([["---"], ["***"]], ["---", "***"]),
    ],
)
def test_lines_stand_once_and_in_place_when_pictures_share_them(pictures: list[list[str]], told: list[str]) -> None:
    assert merged(pictures) == told


def test_a_picture_of_many_lines_is_bounded() -> None:
    assert len(merged([[f"line {number}" for number in range(3000)]])) == 500

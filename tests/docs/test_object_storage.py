"""docs/object-storage.md names settings that exist, and its JSON can be pasted."""

from __future__ import annotations

import json
import re
from pathlib import Path

from prismhouse.cli.settings_reference import variables

PAGE = (Path(__file__).parents[2] / "docs" / "object-storage.md").read_text()


def test_every_variable_of_the_page_is_a_setting():
    named = set(re.findall(r"PRISMHOUSE_[A-Z_]+", PAGE))

    assert named
    assert named <= set(variables())


def test_every_policy_of_the_page_is_json():
    blocks = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)

    assert [type(json.loads(block)) for block in blocks] == [dict, list, dict]

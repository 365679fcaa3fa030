"""What the JSON files in the folder of a model say, whichever kind of model it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from prismhouse.engine.inference.kind import WrongKey

__all__ = ["read_json", "told_length"]


def read_json(path: Path, *, needed: bool = True) -> Any:
    """Return the content; of a file that is not needed and not there, nothing. Raises WrongKey."""
    if not needed and not path.is_file():
        return {}
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise WrongKey("path", f"{path} cannot be read as JSON: {error}") from error


def told_length(folder: Path, of_network: Any, *, largest: int) -> int | None:
    """Return how many tokens a text may have: the shorter of network's and tokenizer's, or None where neither tells.

    A number above `largest` says that there is no limit: tokenizers write one of thirty digits then.
    """
    of_tokenizer = read_json(folder / "tokenizer_config.json", needed=False).get("model_max_length")
    usable = [int(length) for length in (of_tokenizer, of_network) if length and 0 < length <= largest]
    return min(usable, default=None)

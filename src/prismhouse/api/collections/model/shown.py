"""What answers tell of the parameters of an extractor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["shown_parameters"]

_HIDDEN = "********"


def shown_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters without the values of headers, which may be credentials."""
    headers = parameters.get("custom_headers")
    return {**parameters, "custom_headers": dict.fromkeys(headers, _HIDDEN)} if headers else dict(parameters)

"""What the official client's generated classes send in place of extractor parameters that name no `extractor_type`.

Their `parameters` is a union without a tag: `from_dict` takes the first member that fits, which is the audio
fingerprint's, drops the keys it does not know, and sends its defaults. Measured with client 1.3.783.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["SUBSTITUTED_WARNING", "without_substituted"]

_SUBSTITUTED = {
    "extractor_type": "audio_fingerprint_extractor",
    "segment_duration_sec": 5.0,
    "segment_hop_sec": 2.5,
    "sample_rate": 48000,
    "normalize_embeddings": True,
    "max_audio_length_sec": 120.0,
}
SUBSTITUTED_WARNING = (
    "feature_extractor.parameters: the client sent the defaults of audio_fingerprint_extractor, as its generated"
    " classes do for parameters without an extractor_type; the defaults of {name} are used. To set parameters, add"
    ' "extractor_type": "{name}" to them.'
)


def without_substituted(name: str, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return None when `parameters` are just what the client substitutes for those of extractor `name`."""
    substituted = name != _SUBSTITUTED["extractor_type"] and dict(parameters) == _SUBSTITUTED
    return None if substituted else dict(parameters)

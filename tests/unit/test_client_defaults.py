"""Parameters that the official client makes up are recognised; those a user set are not touched."""

from __future__ import annotations

import json

from mixpeek.models import CreateCollectionRequest

from prismhouse.api.collections.model.client_defaults import without_substituted


def sent(parameters: dict) -> dict:
    """Return what the generated classes send for `parameters`."""
    choice = {"feature_extractor_name": "text_extractor", "version": "v1", "parameters": parameters}
    request = {"collection_name": "abc", "source": {"type": "bucket", "bucket_ids": ["b"]}, "feature_extractor": choice}
    return json.loads(CreateCollectionRequest.from_dict(request).to_json())["feature_extractor"]["parameters"]


def test_made_up_parameters_are_dropped_when_none_were_given() -> None:
    assert without_substituted("text_extractor", sent({})) is None


def test_parameters_are_kept_when_they_name_their_extractor() -> None:
    given = sent({"extractor_type": "text_extractor", "split_by": "words"})

    assert without_substituted("text_extractor", given) == given
    assert given["split_by"] == "words"

"""Whatever a request says: exactly one model is meant or a fault is named, and exactly the right texts are read."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from prismhouse.api.inference.errors import FeatureNotServed, ModelNotServed, ProviderUnknown, SelectorInvalid
from prismhouse.api.inference.model import INPUT_KEYS, PROVIDERS, inputs_of, select
from prismhouse.api.inference.schemas import RawInference
from prismhouse.api.inference.service.cache import AnswerCache, Question
from prismhouse.engine.extractors.catalogue import BUILTIN
from prismhouse.engine.inference.registry import all_models
from prismhouse.kit.errors import Invalid

NAMES = st.one_of(st.sampled_from(sorted(all_models())), st.text(max_size=20))
URIS = [one.record.feature_uri(output) for one in BUILTIN for output in one.record.vector_outputs]
MAYBE_NAME = st.none() | NAMES
VALUES = st.one_of(
    st.none(), st.text(max_size=5), st.integers(), st.lists(st.text(max_size=5) | st.none(), max_size=3), st.booleans()
)


@settings(deadline=None, max_examples=300)
@given(
    provider=st.none() | st.sampled_from([*PROVIDERS, "OpenAI", "acme", ""]),
    model=MAYBE_NAME,
    inference_name=MAYBE_NAME,
    feature_uri=st.none() | st.sampled_from(URIS) | st.text(max_size=30),
)
def test_one_model_is_meant_or_it_is_said_why_not(
    provider: str | None, model: str | None, inference_name: str | None, feature_uri: str | None
) -> None:
    body = RawInference(
        provider=provider, model=model, inference_name=inference_name, feature_uri=feature_uri, inputs={}
    )
    given_selectors = [
        provider is not None or model is not None,
        inference_name is not None,
        feature_uri is not None,
    ]

    try:
        found = select(body, all_models(), [one.record for one in BUILTIN])
    except SelectorInvalid:
        assert sum(given_selectors) != 1 or not (provider and model)
        return
    except ProviderUnknown:
        assert provider not in PROVIDERS
        return
    except (ModelNotServed, FeatureNotServed):
        assert (inference_name or model or feature_uri or "") not in all_models()
        return
    assert sum(given_selectors) == 1
    assert found.entry is not None
    assert found.entry.name in all_models()
    assert (found.provider == provider.lower()) if provider else found.provider == "prismhouse"


@settings(deadline=None, max_examples=300)
@given(inputs=st.dictionaries(st.sampled_from([*INPUT_KEYS, "txt", "url"]), VALUES, max_size=3))
def test_inputs_are_read_as_sent_or_refused_by_name(inputs: dict[str, Any]) -> None:
    sent = {name: value for name, value in inputs.items() if value is not None}

    try:
        read = inputs_of(inputs, most_texts=2)
    except Invalid:
        return
    assert set(sent) <= set(INPUT_KEYS)
    texts = next((sent[name] for name in ("text", "texts", "prompts") if name in sent), None)
    assert list(read.texts) == ([texts] if isinstance(texts, str) else texts or [])
    assert read.is_many == isinstance(texts, list)
    assert (read.file is not None) == any("_" in name for name in sent)


@settings(deadline=None, max_examples=200)
@given(
    asked=st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("mn"), st.binary(max_size=2), st.integers(0, 300)), max_size=60
    )
)
def test_answers_stay_with_their_namespace_and_within_their_room(asked: list[tuple[str, str, bytes, int]]) -> None:
    cache = AnswerCache(most_bytes=10_000, seconds=60, clock=lambda: 0.0)
    last: dict[tuple[str, str, bytes], str] = {}

    for space, model, content, length in asked:
        question = Question.of(space, model, {}, "text", content)
        found = cache.find(question)
        assert found is None or found == last[space, model, content]
        last[space, model, content] = f"{space}{model}" + "x" * length
        cache.keep(question, last[space, model, content])
        assert cache.held_bytes <= 10_000
        assert cache.find(question) == last[space, model, content]

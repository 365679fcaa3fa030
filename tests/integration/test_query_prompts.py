"""Models that read queries in another way than passages: what is found is asked for as it was trained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.folders import minilm_folder, models_of
from tests.openai_server import openai_server

from prismhouse.engine.extractors.catalogue import Catalogue
from prismhouse.engine.extractors.port import Part, Row
from prismhouse.engine.extractors.run import run_rows
from prismhouse.engine.inference import loaded as cached
from prismhouse.engine.inference.configured import NO_MODELS
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.query import QueryEmbedder
from prismhouse.engine.inference.registry import MINILM, use_models

_TEXT = "bread with rye flour"
_TABLES = """
[models.folder]
kind = "sentence_transformers"
path = "{folder}"
query_prompt = "query: "
passage_prompt = "passage: "

[models.endpoint]
kind = "openai_embeddings"
url = "{url}"
model = "minilm"
dimensions = 384
query_prompt = "query: "
passage_prompt = "passage: "
"""


@pytest.fixture
def cache_dir(tmp_path: Path) -> Iterator[Path]:
    """A folder for models; two of a file are known, both MiniLM at heart."""
    folder, cache = tmp_path / "mine", tmp_path / "cache"
    cache.mkdir()
    minilm_folder(folder)
    with openai_server(cache) as running:
        use_models(models_of(tmp_path, _TABLES.format(folder=folder, url=running.url)))
        try:
            yield cache
        finally:
            use_models(NO_MODELS)
            for key in [key for key in cached._models if key[0] in ("folder", "endpoint")]:
                getattr(cached._models.pop(key), "close", lambda: None)()


@pytest.mark.parametrize("model", ["folder", "endpoint"])
async def test_a_query_has_its_own_prompt_when_the_model_has_one(cache_dir: Path, model: str) -> None:
    minilm = loaded(MINILM, threads=1, cache_dir=cache_dir)
    embedder = QueryEmbedder(cache_dir)
    try:
        (asked,) = await embedder.embed(model, [_TEXT])
    finally:
        await embedder.close()
    parameters = Catalogue().validate_parameters(Catalogue().get("text_extractor"), {"embedding_model": model})
    rows = [Row(row_id="r", inputs={"text": Part(type="text", text=_TEXT)})]
    (result,) = run_rows("text_extractor_v1", parameters, rows, 1, str(cache_dir))

    query, passage = minilm.embed([f"query: {_TEXT}", f"passage: {_TEXT}"])
    assert np.allclose(asked, query, atol=1e-4)
    assert np.allclose(result.documents[0].vectors[model], passage, atol=1e-4)
    assert not np.allclose(query, passage, atol=1e-2)

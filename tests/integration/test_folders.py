"""Models from folders: the same vectors as elsewhere, in the process that asks and in those that compute."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.folders import minilm_folder, models_of

from prismhouse.engine.extractors.port import Part, Row
from prismhouse.engine.inference.configured import NO_MODELS, ConfiguredModels
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import MINILM, use_models
from prismhouse.storage.compute.local import LocalCompute

_TEXTS = ["A cat sits on the mat.", "", "Ein Satz.", "word " * 400, "x", "The rocket launched at dawn. " * 9]


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    use_models(NO_MODELS)


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> ConfiguredModels:
    folder = tmp_path_factory.mktemp("folders")
    minilm_folder(folder / "mine")
    return models_of(folder, '[models.mine]\nkind = "sentence_transformers"\npath = "mine"\n')


def test_a_folder_gives_the_vectors_of_the_packaged_model_when_it_holds_its_weights(
    mine: ConfiguredModels, tmp_path: Path
) -> None:
    use_models(mine)

    ours, packaged = (loaded(name, threads=1, cache_dir=tmp_path).embed_texts(_TEXTS) for name in ("mine", MINILM))

    assert np.abs(ours.vectors - packaged.vectors).max() < 1e-6
    assert ours.truncated.tolist() == packaged.truncated.tolist() == [False, False, False, True, False, False]


async def test_a_compute_process_knows_the_models_of_the_file(mine: ConfiguredModels, tmp_path: Path) -> None:
    rows = [Row(row_id="r", inputs={"text": Part(type="text", text=_TEXTS[0])})]
    compute = LocalCompute(1)
    try:
        (result,) = await compute.run(
            "prismhouse.engine.extractors.run:run_rows",
            "text_extractor_v1",
            {"embedding_model": "mine"},
            rows,
            1,
            str(tmp_path),
            1_000_000,
            None,
            None,
            mine,
        )
    finally:
        await compute.close()

    expected = loaded(MINILM, threads=1, cache_dir=tmp_path).embed([_TEXTS[0]])[0]
    assert np.abs(result.documents[0].vectors["mine"] - expected).max() < 1e-6

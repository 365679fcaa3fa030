"""Models from folders: the same vectors as elsewhere, in the process that asks and in those that compute."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.folders import minilm_folder, models_of, write

from prismhouse.engine.extractors.port import Part, Row
from prismhouse.engine.inference.configured import NO_MODELS, ConfiguredModels
from prismhouse.engine.inference.errors import ExtraMissing, ModelUnfit
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import MINILM, listed, use_models
from prismhouse.storage.compute.local import LocalCompute

_TINY = Path(__file__).parents[1] / "tiny_models"
"""Made, with what torch gives for them, by tests/tools/tiny_models.py."""

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


def _tiny(folder: Path, name: str, text: str = "") -> Any:
    """Load a tiny model from a copy that a test may change."""
    kind = "sentence_transformers" if name == "sentence" else "clip"
    use_models(models_of(folder, f'[models.tiny]\nkind = "{kind}"\npath = "tiny"\n{text}'))
    return loaded("tiny", threads=1, cache_dir=folder)


def _expected(name: str) -> Any:
    return json.loads((_TINY / name / "expected.json").read_text())


def _least_cosine(made: Any, expected: Any) -> float:
    return float((np.asarray(made) * np.asarray(expected)).sum(axis=1).min())


@pytest.mark.parametrize("mode", ["mean", "cls", "max", "lasttoken", "dense"])
def test_a_folder_gives_the_vectors_of_torch_when_it_pools_so(tmp_path: Path, mode: str) -> None:
    folder = shutil.copytree(_TINY / "sentence", tmp_path / "tiny")
    expected, prompt = _expected("sentence"), 'query_prompt = "query: "\nmax_tokens = 12\n'
    if mode != "dense":
        modules = json.loads((folder / "modules.json").read_text())
        write(folder / "modules.json", [one for one in modules if one["path"] != "2_Dense"])
    pooling = {"embedding_dimension": 16, "pooling_mode": "mean" if mode == "dense" else mode}

    for pools_prompt, name in ((True, "prompted"), (False, "unpooled")):
        write(folder / "1_Pooling" / "config.json", {**pooling, "include_prompt": pools_prompt})
        model = _tiny(tmp_path, "sentence", prompt)
        assert model.dimensions == (8 if mode == "dense" else 16)
        assert _least_cosine(model.embed(expected["texts"]), expected["vectors"][mode]) > 0.9999
        assert _least_cosine(model.embed_queries(expected["texts"]), expected[name][mode]) > 0.9999
        assert model.embed_texts(expected["texts"]).truncated.tolist() == [False, False, False, True]


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_texts_and_images_get_the_vectors_of_torch_when_a_folder_has_both_towers(tmp_path: Path, name: str) -> None:
    shutil.copytree(_TINY / name, tmp_path / "tiny")
    expected = _expected(name)
    random = [np.random.default_rng(seed) for seed in range(3)]
    images = [Image.fromarray(one.integers(0, 255, (40, 56, 3), dtype=np.uint8), "RGB") for one in random]

    model = _tiny(tmp_path, name)

    assert _least_cosine(model.embed(expected["texts"]), expected["text"]) > 0.9999
    assert _least_cosine(model.embed_images(images), expected["image"]) > 0.999
    assert model.embed_queries(expected["texts"]).tolist() == model.embed(expected["texts"]).tolist()


def _exported_for(graph: Path, **sides: int) -> None:
    """Fix axes of a graph's inputs, as exporters do that are told of no free ones."""
    import onnx

    model = onnx.load(graph)
    for given in model.graph.input:
        for axis in given.type.tensor_type.shape.dim:
            if axis.dim_param in sides:
                axis.dim_value = sides[axis.dim_param]
    onnx.save(model, graph)


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_a_joint_model_gives_the_same_vectors_when_its_towers_take_so_many_rows(tmp_path: Path, rows: int) -> None:
    folder = shutil.copytree(_TINY / "clip", tmp_path / "tiny")
    _exported_for(folder / "onnx" / "text_model.onnx", batch=rows, sequence=8)
    _exported_for(folder / "onnx" / "vision_model.onnx", batch=rows)
    expected = _expected("clip")
    random = [np.random.default_rng(seed) for seed in range(5)]
    images = [Image.fromarray(one.integers(0, 255, (40, 56, 3), dtype=np.uint8), "RGB") for one in random]

    model = _tiny(tmp_path, "clip")
    made = model.embed_texts(expected["texts"])

    assert _least_cosine(made.vectors[:3], expected["text"][:3]) > 0.9999
    assert made.truncated.tolist() == [False, False, False, True]
    assert _least_cosine(model.embed_images(images)[:3], expected["image"]) > 0.999
    assert len(model.embed_images(images)) == 5


@pytest.mark.parametrize("rows", [1, 3])
def test_a_folder_gives_the_same_vectors_when_its_graph_takes_so_many_rows_of_one_length(
    tmp_path: Path, rows: int
) -> None:
    folder = shutil.copytree(_TINY / "sentence", tmp_path / "tiny")
    free = _tiny(tmp_path, "sentence").embed_texts([*_TEXTS, "the cat sat"])
    _exported_for(folder / "onnx" / "model.onnx", batch=rows, sequence=12)

    fixed = _tiny(tmp_path, "sentence").embed_texts([*_TEXTS, "the cat sat"])

    assert np.abs(fixed.vectors - free.vectors)[~fixed.truncated].max() < 1e-5
    assert fixed.truncated.any()


def test_a_joint_model_is_not_run_when_its_graph_takes_pictures_of_another_size(tmp_path: Path) -> None:
    folder = shutil.copytree(_TINY / "clip", tmp_path / "tiny")
    write(
        folder / "preprocessor_config.json",
        {**json.loads((folder / "preprocessor_config.json").read_text()), "crop_size": {"height": 24, "width": 24}},
    )

    with pytest.raises(ModelUnfit, match="takes pictures of 32 x 32 pixels, and its folder says 24 x 24"):
        _tiny(tmp_path, "clip")


def test_a_picture_like_a_thread_is_seen_without_being_enlarged_whole(tmp_path: Path) -> None:
    shutil.copytree(_TINY / "clip", tmp_path / "tiny")
    model = _tiny(tmp_path, "clip")

    made = model.embed_images([Image.new("RGB", size, "red") for size in ((2, 3_000_000), (3_000_000, 2), (40, 40))])

    assert np.isfinite(made).all()
    assert np.abs(made - made[2]).max() < 1e-5


@pytest.mark.parametrize("table", ['path = "tiny"', 'hub = "nobody/nothing"\ndimensions = 16'])
def test_the_extra_is_named_when_a_model_needs_torch_that_is_not_there(tmp_path: Path, table: str) -> None:
    if find_spec("sentence_transformers") is not None:
        pytest.skip("sentence-transformers is installed")
    shutil.copytree(_TINY / "sentence", tmp_path / "tiny")
    (tmp_path / "tiny" / "onnx" / "model.onnx").rename(tmp_path / "tiny" / "model.safetensors")
    use_models(models_of(tmp_path, f'[models.tiny]\nkind = "sentence_transformers"\n{table}\n'))

    with pytest.raises(ExtraMissing, match=re.escape('pip install "prismhouse[huggingface]"')):
        loaded("tiny", threads=1, cache_dir=tmp_path)
    assert "prismhouse[huggingface]" in str(next(one.problem for one in listed() if one.name == "tiny"))


@pytest.mark.parametrize("broken", ["onnx/model.onnx", "tokenizer.json"])
def test_the_model_is_named_when_its_files_cannot_be_run(tmp_path: Path, broken: str) -> None:
    shutil.copytree(_TINY / "sentence", tmp_path / "tiny")
    (tmp_path / "tiny" / broken).write_bytes(b"nothing of the kind")

    with pytest.raises(ModelUnfit, match="The model tiny cannot be run"):
        _tiny(tmp_path, "sentence")


def test_a_model_is_not_run_when_its_graph_gives_other_dimensions_than_its_folder_says(tmp_path: Path) -> None:
    shutil.copytree(_TINY / "clip", tmp_path / "tiny")

    model = _tiny(tmp_path, "clip", "dimensions = 13\n")

    with pytest.raises(ModelUnfit, match="gives 12 dimensions, and its folder says 13"):
        model.embed(["cat"])

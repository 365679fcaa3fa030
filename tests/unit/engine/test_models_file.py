"""The file of models: what is wrong with it is told by table and key, before anything starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.folders import models_file, models_of, write

from prismhouse.cli import main
from prismhouse.engine.inference.configured import NO_MODELS
from prismhouse.engine.inference.errors import ModelFileChanged, ModelFileGone, ModelNameTaken, ModelsFileWrong
from prismhouse.engine.inference.registry import MINILM, all_models, check_installed, default_model, listed, use_models
from prismhouse.settings import Settings

_TABLE = '[models.mine]\nkind = "sentence_transformers"\npath = "mine"\n'


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    use_models(NO_MODELS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder beside the file of models, with all that is read before a model is loaded."""
    mine = tmp_path / "mine"
    write(mine / "config.json", {"hidden_size": 16, "max_position_embeddings": 64})
    write(mine / "tokenizer.json", {})
    (mine / "model.onnx").write_bytes(b"weights")
    return tmp_path


def test_a_model_is_known_beside_the_packaged_ones_when_the_file_names_it(folder: Path) -> None:
    use_models(models_of(folder, _TABLE + '[defaults]\ntext_embedding = "mine"\n'))

    mine = all_models()["mine"]
    assert (mine.task, mine.dimensions, mine.max_tokens, mine.source) == ("text_embedding", 16, 64, "file")
    assert next(iter(all_models())) == MINILM
    assert default_model("text_embedding") == "mine"
    assert default_model("generation") is None
    status = next(one for one in listed() if one.name == "mine")
    assert (status.installed, status.packages) == (True, (str(folder / "mine"),))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[models", "it cannot be read"),
        ("[modells.x]\n", "[modells]: unknown table. Accepted: models, defaults"),
        ("models = 3\n", "[models]: must be a table"),
        ("[models]\nmine = 3\n", "[models.mine]: must be a table"),
        ('[models."a b"]\nkind = "clip"\n', "[models.a b]: a name is of letters"),
        ("[models.mine]\n", "[models.mine] kind: is missing. Accepted: sentence_transformers, clip"),
        ('[models.mine]\nkind = "bert"\n', "[models.mine] kind: 'bert' is unknown. Accepted: sentence_transformers"),
        ("[models.mine]\nkind = 3\n", "[models.mine] kind: 3 is unknown"),
        (_TABLE + 'poth = "x"\n', "[models.mine] poth: unknown key. Accepted: kind, title"),
        (_TABLE + "max_tokens = 1\n", "[models.mine] max_tokens: Input should be greater than or equal to 8"),
        (_TABLE + "dimensions = 17\n", "[models.mine] dimensions: the folder's model has 16"),
        (_TABLE + 'file = "other.onnx"\n', "mine/other.onnx is no file"),
        ('[models.mine]\nkind = "sentence_transformers"\n', "give `path`, a folder, or `hub`"),
        ('[models.mine]\nkind = "sentence_transformers"\npath = "nowhere"\n', "nowhere is no folder"),
        ('[models.mine]\nkind = "sentence_transformers"\nhub = "a/b"\n', "dimensions: is missing"),
        ("[defaults]\nspeech = 'mine'\n", "[defaults] speech: unknown task. Accepted: text_embedding"),
        ("[defaults]\ngeneration = 3\n", "[defaults] generation: must be the name of a model"),
    ],
)
def test_table_and_key_are_named_when_the_file_is_wrong(folder: Path, text: str, told: str) -> None:
    with pytest.raises(ModelsFileWrong) as raised:
        models_of(folder, text)

    assert told in raised.value.message
    assert str(folder / "models.toml") in raised.value.message
    assert "PRISMHOUSE_INFERENCE__MODELS_FILE" in raised.value.message


def test_every_problem_is_told_at_once(folder: Path) -> None:
    text = '[models.a]\nkind = "x"\n[models.b]\nkind = "y"\n[defaults]\nz = "a"\n'

    with pytest.raises(ModelsFileWrong) as raised:
        models_of(folder, text)

    assert all(f"[{name}]" in raised.value.message for name in ("models.a", "models.b", "defaults"))


def test_defaults_are_refused_when_no_such_model_has_the_task(folder: Path) -> None:
    for named, told in (("none", "there is no model none"), (MINILM, f"{MINILM} is for text_embedding")):
        with pytest.raises(ModelsFileWrong, match=rf"\[defaults\] generation: {told}. Accepted: none"):
            use_models(models_of(folder, f'[defaults]\ngeneration = "{named}"\n'))


def test_a_name_is_refused_when_a_packaged_model_has_it(folder: Path) -> None:
    with pytest.raises(ModelNameTaken, match=MINILM):
        use_models(models_of(folder, _TABLE.replace("models.mine", f"models.{MINILM}")))


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json", "model.onnx"])
def test_the_file_is_named_when_the_folder_lacks_it(folder: Path, missing: str) -> None:
    (folder / "mine" / missing).unlink()

    with pytest.raises(ModelsFileWrong, match=r"\[models.mine\] path: ") as raised:
        models_of(folder, _TABLE)

    assert missing in raised.value.message


@pytest.mark.parametrize(
    ("name", "content"),
    [("config.json", []), ("config.json", {"hidden_size": "many"}), ("modules.json", [{"path": "1"}])],
)
def test_the_table_is_named_when_the_folder_holds_other_json(folder: Path, name: str, content: object) -> None:
    write(folder / "mine" / name, content)

    with pytest.raises(ModelsFileWrong, match=r"\[models.mine\] path: what it names cannot be read"):
        models_of(folder, _TABLE)


def test_the_table_is_named_when_its_path_is_of_nobody(folder: Path) -> None:
    with pytest.raises(ModelsFileWrong, match=r"\[models.mine\] path: what it names cannot be read"):
        models_of(folder, _TABLE.replace('"mine"', '"~nobody-of-this-name/mine"'))


def test_a_module_that_cannot_be_run_is_named(folder: Path) -> None:
    write(folder / "mine" / "modules.json", [{"type": "sentence_transformers.models.WordWeights", "path": "1"}])

    with pytest.raises(ModelsFileWrong, match="WordWeights, which cannot be run"):
        models_of(folder, _TABLE)


def test_the_fingerprint_differs_when_files_or_prompts_do(folder: Path) -> None:
    first = models_of(folder, _TABLE).models[0].fingerprint
    assert models_of(folder, _TABLE + 'title = "Another title"\n').models[0].fingerprint == first

    prompted = models_of(folder, _TABLE + 'query_prompt = "query: "\n').models[0].fingerprint
    (folder / "mine" / "model.onnx").write_bytes(b"other weights")
    changed = models_of(folder, _TABLE).models[0].fingerprint

    assert len({first, prompted, changed}) == 3


def test_a_model_is_refused_when_its_files_go_or_change_after_they_were_read(folder: Path) -> None:
    use_models(models_of(folder, _TABLE))
    check_installed("mine")
    (folder / "mine" / "model.onnx").write_bytes(b"weights, longer")
    with pytest.raises(ModelFileChanged, match=r"model\.onnx has changed"):
        check_installed("mine")

    (folder / "mine" / "model.onnx").unlink()

    with pytest.raises(ModelFileGone, match=r"model\.onnx, which is not on this machine"):
        check_installed("mine")
    assert next(one for one in listed() if one.name == "mine").problem is not None


def test_the_server_does_not_start_when_the_file_is_wrong(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = models_file(folder, "[models.mine]\n")
    monkeypatch.setenv("PRISMHOUSE_INFERENCE__MODELS_FILE", str(path))

    with pytest.raises(SystemExit) as ended:
        main(["serve", "--data", str(folder / "data")])

    assert ended.value.code == 1
    assert "[models.mine] kind: is missing" in capsys.readouterr().err
    assert not (folder / "data").exists()


def test_the_file_in_the_data_folder_is_read_when_none_is_set(folder: Path) -> None:
    from prismhouse.server.adapters import models

    models_file(folder, _TABLE)

    assert [one.name for one in models(Settings(data_dir=folder)).models] == ["mine"]
    assert models(Settings(data_dir=folder / "other")) == NO_MODELS

"""A user's model out of its archive: loaded and tried out, or refused with the reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.model_archives import minilm_archive

from prismhouse.engine.inference.errors import ModelNotFound
from prismhouse.engine.inference.lent import LentModel, lending
from prismhouse.engine.inference.registry import MINILM, all_models, entry
from prismhouse.engine.inference.uploaded import UploadedModelBroken, embed_queries, probe


def lent(folder: Path, data: bytes, name: str = "mdl_1") -> LentModel:
    path = folder / "packed"
    path.write_bytes(data)
    return LentModel(name=name, title="mine 1.0.0", dimensions=0, sha256=hashlib.sha256(data).hexdigest(), archive=path)


def test_a_model_is_probed_and_embeds_when_it_is_whole(tmp_path: Path) -> None:
    model = lent(tmp_path, minilm_archive())

    probed = probe(model, 1, str(tmp_path / "cache"))
    (tmp_path / "packed").unlink()
    vectors = embed_queries(model, ["one", "two"], 1, str(tmp_path / "cache"))

    assert probed.dimensions == 384
    assert vectors.shape == (2, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    assert [one.name for one in (tmp_path / "cache" / "uploaded").iterdir()] == [model.sha256]


def outside_weights(folder: Path) -> None:
    """Have the graph take its weights from a file beside the cache, as a thief of files would."""
    from onnx import TensorProto, helper

    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    weights.dims.extend([8, 8])
    for key, value in (("location", "../../../secret"), ("offset", "0"), ("length", "256")):
        found = weights.external_data.add()
        found.key, found.value = key, value
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 8]) for name in ("input_ids", "y")]
    node = helper.make_node("MatMul", ["input_ids", "w"], ["y"])
    graph = helper.make_graph([node], "g", values[:1], values[1:], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "onnx" / "model.onnx").write_bytes(model.SerializeToString())


def modules(path: str, kind: str) -> Callable[[Path], None]:
    entries = [{"idx": 0, "name": "0", "path": path, "type": kind}]
    return lambda folder: folder.joinpath("modules.json").write_text(json.dumps(entries)) and None


def written(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: folder.joinpath(name).write_text(text) and None


BROKEN = {
    "no graph": (written("onnx/model.onnx", "no graph"), "Protobuf"),
    "no tokenizer": (written("tokenizer.json", "[]"), "tokenizer|Exception"),
    "no configuration": (written("config.json", "[1"), "config.json"),
    "weights from elsewhere": (outside_weights, "escapes model directory"),
    "a module from elsewhere": (modules("../../..", "sentence_transformers.models.Transformer"), "is not taken"),
    "a module of another package": (modules("", "os.system"), "is not taken"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_it_is_said_what_is_wrong_when_a_model_cannot_be_loaded(tmp_path: Path, kind: str) -> None:
    change, reason = BROKEN[kind]
    (tmp_path / "secret").write_bytes(bytes(256))

    with pytest.raises(UploadedModelBroken, match=reason) as refused:
        probe(lent(tmp_path, minilm_archive(change)), 1, str(tmp_path / "cache"))

    assert str(tmp_path) not in refused.value.message


def test_a_lent_model_is_known_inside_its_block_alone(tmp_path: Path) -> None:
    model = lent(tmp_path, b"")

    with lending([model]):
        assert entry("mdl_1").title == "mine 1.0.0"
        assert entry(MINILM).name == MINILM

    assert "mdl_1" not in all_models()
    with pytest.raises(ModelNotFound) as missing:
        entry("mdl_1")
    assert "mdl_1," not in missing.value.message

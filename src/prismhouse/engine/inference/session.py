"""ONNX sessions, opened the same way for every model."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import structlog

from prismhouse.engine.inference.entry import ModelEntry
from prismhouse.engine.inference.errors import DeviceMissing, DeviceUnusable, ExtraMissing
from prismhouse.engine.inference.registry import device

__all__ = ["device_name", "open_session", "providers", "require"]

_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_DEVICES = {
    _CUDA: "cuda",
    "MIGraphXExecutionProvider": "rocm",
    "CoreMLExecutionProvider": "coreml",
    "DmlExecutionProvider": "directml",
    _CPU: "cpu",
}
"""Execution providers by what they run on, the first that onnxruntime offers is taken."""

_ERRORS_ONLY = 3
_REASON_CHARACTERS = 500
_log = structlog.get_logger(__name__)
_unusable: set[str] = set()
"""Providers that onnxruntime offers, and that could not be used when a model was opened in this process."""


def require(packages: Sequence[str], *, extra: str, needed_for: str) -> None:
    """Raise ExtraMissing, which names the install command, when a package cannot be imported."""
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise ExtraMissing(needed_for=needed_for, package=package, extra=extra) from error


def providers(wanted: str | None = None) -> list[str]:
    """Return onnxruntime's execution providers for a device: the setting's, unless one is given; the CPU comes last.

    Raises DeviceMissing when CUDA is asked for, and this onnxruntime does not offer it.
    """
    import onnxruntime

    offered = onnxruntime.get_available_providers()
    wanted = wanted or device()
    if wanted == "cpu":
        return [_CPU]
    if wanted == "cuda":
        if _CUDA not in offered:
            raise DeviceMissing(device="cuda", offered=", ".join(offered))
        return [_CUDA, _CPU]
    best = next((one for one in _DEVICES if one in offered), _CPU)
    return [_CPU] if best == _CPU else [best, _CPU]


def device_name(item: ModelEntry) -> str:
    """Return where a model runs in this process: cpu, cuda, coreml...; of one behind an address, `remote`.

    A GPU that cannot be used is known as such once a model was opened.
    """
    if item.options.get("url"):
        return "remote"
    if "onnxruntime" not in item.imports or find_spec("onnxruntime") is None:
        return "cpu" if device() == "cpu" or "sentence_transformers" not in item.imports else device()
    try:
        best = providers()[0]
        return _DEVICES[_CPU if best in _unusable else best]
    except DeviceMissing as missing:
        return f"none: {missing.message}"


def open_session(model: Path | bytes, threads: int, *, unpack: bool = False) -> Any:
    """Return an onnxruntime session with `threads` threads that sleep while they wait, on a GPU where there is one.

    Two threads that spin took 45 ms of processor time a text, sleeping ones 31 ms, and what spins is taken from
    other processes. Shapes differ from call to call, so memory patterns are off. With `unpack`, weights that are stored
    in 8 bits become floats now instead of in every run.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if unpack:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    source = model if isinstance(model, bytes) else str(model)
    chosen = providers()
    if chosen == [_CPU]:
        return onnxruntime.InferenceSession(source, options, providers=chosen, enable_fallback=0)
    return _on_gpu(source, options, chosen)


def _on_gpu(source: bytes | str, options: Any, chosen: list[str]) -> Any:
    """Return a session on the GPU that was chosen, or on the CPU where it is listed and cannot be used.

    Raises DeviceUnusable instead where the setting asks for it. onnxruntime's own way back prints, or says nothing:
    libraries that are missing take the provider from the session without an error.
    """
    import onnxruntime

    opened, reason = None, "its libraries cannot be loaded"
    try:
        opened = onnxruntime.InferenceSession(source, options, providers=chosen, enable_fallback=0)
    except Exception as error:  # noqa: BLE001 - told below; a model that is broken itself raises once more on the CPU
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"[:_REASON_CHARACTERS]
    if opened is not None and chosen[0] in opened.get_providers():
        if device() == "auto":
            opened.enable_fallback()  # for what a GPU fails at only as it runs
        return opened
    session = opened or onnxruntime.InferenceSession(source, options, providers=[_CPU], enable_fallback=0)
    if device() != "auto":
        raise DeviceUnusable(device=device(), reason=reason)
    _unusable.add(chosen[0])
    _log.warning("a GPU cannot be used, a model runs on the CPU", provider=chosen[0], reason=reason)
    return session

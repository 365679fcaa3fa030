"""ONNX sessions, opened the same way for every model."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prismhouse.engine.inference.errors import ExtraMissing

__all__ = ["open_session", "require"]

_ERRORS_ONLY = 3


def require(packages: Sequence[str], *, extra: str, needed_for: str) -> None:
    """Raise ExtraMissing, which names the install command, when a package cannot be imported."""
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise ExtraMissing(needed_for=needed_for, package=package, extra=extra) from error


def open_session(model: Path | bytes, threads: int, *, unpack: bool = False) -> Any:
    """Return an onnxruntime session on the CPU with `threads` threads that sleep while they wait.

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
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])

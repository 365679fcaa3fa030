"""Read the tensors of a legacy PyTorch file with numpy alone.

The unpickler knows the handful of names such a file needs and refuses every other, so a file cannot run code.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

__all__ = ["read_tensors"]

_STORAGE_TYPES: Mapping[str, type[np.generic]] = {
    "FloatStorage": np.float32,
    "DoubleStorage": np.float64,
    "HalfStorage": np.float16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ByteStorage": np.uint8,
}
_HEADER_PICKLES = 3
"""Magic number, protocol version and system description precede the tensors."""


@dataclass(frozen=True, slots=True)
class _Tensor:
    storage: str
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def _tensor(storage: str, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> _Tensor:
    return _Tensor(storage, offset, size, stride)


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self.storage_types: dict[str, str] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _STORAGE_TYPES:
            return name
        raise pickle.UnpicklingError(f"A weight file may not name {module}.{name}.")

    def persistent_load(self, pid: Any) -> str:
        _, storage_type, key, *_ = pid
        self.storage_types[key] = storage_type
        return str(key)


def read_tensors(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the tensors by name. Raises pickle.UnpicklingError for a file that holds anything else."""
    with path.open("rb") as stream:
        for _ in range(_HEADER_PICKLES):
            _Unpickler(stream).load()
        reader = _Unpickler(stream)
        state = reader.load()
        storages = {
            key: _read_storage(stream, _STORAGE_TYPES[reader.storage_types[key]]) for key in _Unpickler(stream).load()
        }
    return {name: _place(tensor, storages) for name, tensor in state.items() if isinstance(tensor, _Tensor)}


def _read_storage(stream: BinaryIO, kind: type[np.generic]) -> npt.NDArray[Any]:
    count = int.from_bytes(stream.read(8), "little")
    return np.frombuffer(stream.read(count * np.dtype(kind).itemsize), kind)


def _place(tensor: _Tensor, storages: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    flat = storages[tensor.storage][tensor.offset :]
    strides = [step * flat.itemsize for step in tensor.stride]
    return np.lib.stride_tricks.as_strided(flat, tensor.size, strides).copy()

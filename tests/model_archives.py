"""Archives of models: real ones, made of what is here, and hostile ones."""

from __future__ import annotations

import gzip
import io
import tarfile
import tempfile
import uuid
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tests.folders import minilm_folder

__all__ = ["archive", "extractor_zip", "form", "member", "minilm_archive", "small_archive"]

Change = Callable[[Path], None]


def archive(files: Mapping[str, bytes], *more: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """Return a .tar.gz of these files, and of members that are something else."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in files.items():
            tar.addfile(*_with(member(name, size=len(data)), data))
        for info, data in more:
            tar.addfile(*_with(info, data))
    return gzip.compress(packed.getvalue(), 1)


def member(name: str, *, kind: bytes = tarfile.REGTYPE, size: int = 0, link: str = "") -> tarfile.TarInfo:
    """Return the header of a member."""
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, link
    return info


def _with(info: tarfile.TarInfo, data: bytes) -> tuple[tarfile.TarInfo, io.BytesIO]:
    return info, io.BytesIO(data)


def small_archive(**more: bytes) -> bytes:
    """Return an archive with the names of a model, and nothing in it that could be loaded."""
    return archive({"model.onnx": b"no graph", "tokenizer.json": b"{}", "config.json": b"{}", **more})


def minilm_archive(change: Change | None = None, *, top: str = "minilm") -> bytes:
    """Return the packaged MiniLM as a user would pack its folder."""
    with tempfile.TemporaryDirectory() as place:
        folder = minilm_folder(Path(place) / "model")
        if change is not None:
            change(folder)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
            tar.add(folder, arcname=top)
    return packed.getvalue()


def form(fields: Iterable[tuple[str, str]], data: bytes | None) -> tuple[bytes, str]:
    """Return a multipart body and its content type."""
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields
    ]
    if data is not None:
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="m.tar.gz"\r\n'
            "Content-Type: application/gzip\r\n\r\n"
        )
        parts.append(head.encode() + data + b"\r\n")
    return b"".join([*parts, f"--{boundary}--\r\n".encode()]), f"multipart/form-data; boundary={boundary}"


FEATURE = {"feature_type": "embedding", "feature_name": "vec", "embedding_dim": 3, "distance_metric": "cosine"}


def extractor_zip(name: str, *, code: str = "def run(rows):\n    return rows\n", manifest: str | None = None) -> bytes:
    """Return an extractor as users send it in."""
    metadata = {"feature_extractor_name": name, "version": "1.0.0", "description": "mine", "category": "text"}
    written = f"metadata = {metadata!r}\ninput_schema = {{}}\noutput_schema = {{}}\nfeatures = [{FEATURE!r}]\n"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.py", written if manifest is None else manifest)
        archive.writestr("pipeline.py", code)
    return packed.getvalue()

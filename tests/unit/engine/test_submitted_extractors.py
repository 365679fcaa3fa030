"""Extractors sent in as code: read without being run."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from tests.model_archives import FEATURE, extractor_zip

from prismhouse.engine.extractors.submitted import SubmissionLimits, examine
from prismhouse.engine.inference.archive import ArchiveRefused

LIMITS = SubmissionLimits(files=5, size_bytes=1 << 20, ratio=50)
HEAD = "metadata = {'feature_extractor_name': 'mine', 'version': '1.0.0'}\ninput_schema = {}\noutput_schema = {}\n"


def stored(folder: Path, data: bytes) -> Path:
    path = folder / "sent.zip"
    path.write_bytes(data)
    return path


def test_the_manifest_is_read_and_nothing_speaks_against_it_when_it_is_plain(tmp_path: Path) -> None:
    examined = examine(stored(tmp_path, extractor_zip("mine")), LIMITS)

    assert (examined.faults, examined.findings) == ([], [])
    assert examined.manifest["metadata"]["feature_extractor_name"] == "mine"
    assert examined.manifest["features"] == [FEATURE]


def test_nothing_is_run_when_a_manifest_has_code(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    manifest = HEAD + f"features = [open({str(mark)!r}, 'w')]\n"

    examined = examine(stored(tmp_path, extractor_zip("mine", manifest=manifest)), LIMITS)

    assert not mark.exists()
    assert examined.faults[0][0] == ["features"]
    assert "no literal" in examined.faults[0][1]
    assert [one["name"] for one in examined.findings] == ["open"]


@pytest.mark.parametrize(
    ("features", "fault"),
    [
        ([{"type": "embedding", "name": "v", "dimensions": 3, "distance": "cosine"}], "exactly the keys"),
        ([{**FEATURE, "more": 1}], "exactly the keys"),
        ([{**FEATURE, "embedding_dim": True}], "must be a number"),
        ([{**FEATURE, "embedding_dim": 0}], "must be a number"),
        ([{**FEATURE, "distance_metric": "manhattan"}], "cosine, dot, euclidean"),
        ("vec", "is no list"),
    ],
)
def test_a_feature_is_at_fault_when_it_would_give_no_index(tmp_path: Path, features: object, fault: str) -> None:
    manifest = f"{HEAD}features = {features!r}\n"

    examined = examine(stored(tmp_path, extractor_zip("mine", manifest=manifest)), LIMITS)

    assert len(examined.faults) == 1
    assert fault in examined.faults[0][1]


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("import subprocess", "subprocess"),
        ("from socket import socket", "socket"),
        ("import multiprocessing.pool", "multiprocessing.pool"),
        ("eval('1')", "eval"),
        ("f = exec", "exec"),
        ("setattr(a, 'b', 1)", "setattr"),
        ("__import__('os')", "__import__"),
        ("import os\nos.system('x')", "system"),
        ("().__class__.__subclasses__()", "__subclasses__"),
    ],
)
def test_a_line_is_found_when_it_uses_what_extractors_may_not(tmp_path: Path, code: str, name: str) -> None:
    examined = examine(stored(tmp_path, extractor_zip("mine", code=code)), LIMITS)

    assert {(one["file"], one["name"]) for one in examined.findings} == {("pipeline.py", name)}
    assert examined.findings[0]["line"] == len(code.splitlines())


def packed(*members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO(extractor_zip("mine"))
    with zipfile.ZipFile(stream, "a", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return stream.getvalue()


def long_directory() -> bytes:
    """Return an archive that tells of two files, and of a directory of gigabytes."""
    data = bytearray(extractor_zip("mine"))
    struct.pack_into("<L", data, data.rindex(b"PK\x05\x06") + 12, 2**31)
    return bytes(data)


def link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"no zip at all", "no .zip file"),
        (extractor_zip("mine")[:-30], "no .zip file"),
        (packed(("../evil.py", b"")), "leads out of"),
        (packed((link(), b"/etc/passwd")), "is a link"),
        (packed(*((f"f{number}", b"") for number in range(9))), "bytes or 5 files"),
        (long_directory(), "more than 5 files"),
        (packed(("zeros", bytes(30 << 20))), "unpacks to more"),
        (packed(("deep.py", b"(" * 5000)), "no Python"),
        (packed(("bomb.py", bytes(1 << 10)), method=zipfile.ZIP_BZIP2), "packed in a way"),
        (packed(("bomb.py", bytes(1 << 10)), method=zipfile.ZIP_LZMA), "packed in a way"),
    ],
)
def test_an_archive_is_refused_when_it_is_hostile(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(ArchiveRefused, match=reason):
        examine(stored(tmp_path, data), LIMITS)

"""Archives that nobody trusts: what is taken, and every way of being refused."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest
from tests.model_archives import archive, member, small_archive

from prismhouse.engine.inference.archive import ArchiveLimits, ArchiveRefused, inspect, unpack
from prismhouse.engine.inference.uploaded import refusal

LIMITS = ArchiveLimits(files=20, size_bytes=1 << 20, ratio=50)


def stored(folder: Path, data: bytes) -> Path:
    path = folder / "packed"
    path.write_bytes(data)
    return path


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def pax_bomb() -> bytes:
    """Return an archive whose extended header says that it is a gigabyte long."""
    info = member("././@PaxHeader", kind=tarfile.XHDTYPE, size=1 << 30)
    return gzip.compress(info.tobuf() + bytes(1 << 16))


OUT, LETTERS, PLAIN, BROKEN = "leads out of", "characters", "only plain files", "no whole .tar.gz"
REFUSED = {
    "parent": (archive({"../evil": b"x"}), OUT),
    "absolute": (archive({"/etc/evil": b"x"}), OUT),
    "dot": (archive({"a/./b": b"x"}), OUT),
    "backslash": (archive({"a\\b": b"x"}), LETTERS),
    "line break": (archive({"a\nb": b"x"}), LETTERS),
    "deep": (archive({"/".join("abcdefghijklmnop"): b"x"}), "too long or too deep"),
    "symbolic link": (archive({}, (member("l", kind=tarfile.SYMTYPE, link="/etc/passwd"), b"")), PLAIN),
    "hard link": (archive({}, (member("l", kind=tarfile.LNKTYPE, link="../x"), b"")), PLAIN),
    "device": (archive({}, (member("d", kind=tarfile.CHRTYPE), b"")), PLAIN),
    "pipe": (archive({}, (member("f", kind=tarfile.FIFOTYPE), b"")), PLAIN),
    "twice": (archive({"a": b"1"}, (member("a", size=1), b"2")), "is in it twice"),
    "a file as a folder": (archive({"a": b"1", "a/b": b"2"}), "stands where another file is"),
    "many": (archive({f"f{number}": b"" for number in range(21)}), "more than 20 files"),
    "bomb": (archive({"zeros": bytes(2 << 20)}), "far more than it is packed"),
    "cut off": (small_archive()[:-20], BROKEN),
    "something else": (b"PK\x03\x04 no tar", BROKEN),
    "long header": (pax_bomb(), BROKEN),
    "empty": (archive({}), "no files"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_an_archive_is_refused_and_nothing_is_written_when_it_is_hostile(tmp_path: Path, kind: str) -> None:
    data, reason = REFUSED[kind]
    path = stored(tmp_path, data)

    with pytest.raises(ArchiveRefused, match=reason):
        unpack(path, tmp_path / "place" / "model", LIMITS, sha256=sha256(data))

    assert list((tmp_path / "place").iterdir()) == []
    assert sorted(one.name for one in tmp_path.iterdir()) == ["packed", "place"]


@pytest.mark.parametrize("kind", [kind for kind in REFUSED if kind != "a file as a folder"])
def test_an_archive_is_refused_when_it_is_only_looked_through(tmp_path: Path, kind: str) -> None:
    data, reason = REFUSED[kind]

    with pytest.raises(ArchiveRefused, match=reason):
        inspect(stored(tmp_path, data), LIMITS)


def test_files_stand_below_the_models_own_folder_when_the_archive_has_one(tmp_path: Path) -> None:
    data = archive({"./minilm/a.json": b"{}", "./minilm/onnx/model.onnx": b"x", "minilm/._a.json": b"noise"})

    contents = unpack(stored(tmp_path, data), tmp_path / "model", LIMITS, sha256=sha256(data))

    assert contents.files == {"a.json": 2, "onnx/model.onnx": 1}
    assert (tmp_path / "model" / "onnx" / "model.onnx").read_bytes() == b"x"
    assert inspect(tmp_path / "packed", LIMITS).sha256 == sha256(data)


def test_the_first_one_stays_when_two_processes_unpack_the_same_archive(tmp_path: Path) -> None:
    data = small_archive()
    path = stored(tmp_path, data)

    for _ in range(2):
        unpack(path, tmp_path / "model", LIMITS, sha256=sha256(data))

    assert sorted(one.name for one in (tmp_path / "model").iterdir()) == ["config.json", "model.onnx", "tokenizer.json"]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["model", "packed"]


def test_what_a_killed_process_left_is_removed_when_the_next_archive_is_unpacked(tmp_path: Path) -> None:
    data = small_archive()
    left, held = tmp_path / "models" / ".part.left", tmp_path / "models" / ".part.held"
    for part in (left, held):
        part.mkdir(parents=True)
        (part / "model.onnx").write_bytes(b"half")
        os.utime(part, (0, 0))
    handle = os.open(held, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)  # as by a process that unpacks at this moment

    unpack(stored(tmp_path, data), tmp_path / "models" / "mine", LIMITS, sha256=sha256(data))

    os.close(handle)
    assert sorted(one.name for one in (tmp_path / "models").iterdir()) == [".part.held", "mine"]


def test_nothing_is_unpacked_when_the_bytes_are_not_those_of_the_hash(tmp_path: Path) -> None:
    with pytest.raises(ArchiveRefused, match="damaged"):
        unpack(stored(tmp_path, small_archive()), tmp_path / "model", LIMITS, sha256="0" * 64)

    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("names", "model_format", "reason"),
    [
        (["config.json", "tokenizer.json", "pytorch_model.bin"], "huggingface", "pytorch_model.bin may hold pickled"),
        (["a/model.PT", "model.onnx"], "onnx", "pickled code"),
        (["model.safetensors", "config.json", "tokenizer.json"], "onnx", "*.onnx"),
        (["model.onnx", "config.json"], "onnx", "tokenizer.json is missing"),
        ([], "pytorch", "save the weights as .safetensors or export them to .onnx"),
    ],
)
def test_it_is_said_what_to_upload_instead_when_files_are_no_model(
    names: list[str], model_format: str, reason: str
) -> None:
    assert reason in str(refusal(names, model_format))


def test_a_model_is_taken_when_it_has_its_files() -> None:
    names = ["config.json", "tokenizer.json", "onnx/model.onnx"]

    assert refusal(names, "onnx") is refusal(names, "huggingface") is None


def test_memory_stays_small_when_an_archive_unpacks_to_much(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9) as stream:
        stream.write(member("bomb", size=1 << 33).tobuf())
        for _ in range(80):
            stream.write(bytes(1 << 20))

    with pytest.raises(ArchiveRefused, match="unpacks to more"):
        inspect(stored(tmp_path, packed.getvalue()), ArchiveLimits(size_bytes=1 << 34, ratio=10))

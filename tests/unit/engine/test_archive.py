"""Archives that are made to do harm, and what is read of those that are not."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from prismhouse.engine.media.archive import opened_archive
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.limits import MediaLimits

SMALL = MediaLimits(archive_files=20, archive_unpacked_bytes=300_000, archive_file_bytes=100_000)


def packed(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def read(folder: Path, data: bytes, limits: MediaLimits = SMALL) -> tuple[dict[str, bytes], dict[str, int]]:
    path = folder / "archive.zip"
    path.write_bytes(data)
    with opened_archive(path, limits) as archive:
        return {one.path: one.data for one in archive.members()}, archive.left_out


def fault(folder: Path, data: bytes, limits: MediaLimits = SMALL) -> str:
    with pytest.raises(MediaFault) as caught:
        read(folder, data, limits)
    return caught.value.code


def test_files_come_in_the_order_of_their_paths_and_tools_are_passed_over(tmp_path: Path) -> None:
    files = {"b/two.py": b"2", "a.py": b"1", ".git/config": b"x", "node_modules/m/index.js": b"y", "empty/": b""}

    found, left_out = read(tmp_path, packed(files))

    assert list(found.items()) == [("a.py", b"1"), ("b/two.py", b"2")]
    assert not left_out


def test_paths_that_lead_out_and_links_are_left_out_and_counted(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("../up.py", "/etc/passwd.py", "a/../../b.py", "C:\\windows.py", "..\\up.py", "fine.py"):
            archive.writestr(zipfile.ZipInfo(name), b"x = 1")
        link = zipfile.ZipInfo("link.py")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")

    found, left_out = read(tmp_path, buffer.getvalue())

    assert list(found) == ["fine.py"]
    assert left_out == {"unsafe_path": 5, "link_or_device": 1}


def test_a_bomb_is_stopped_while_it_is_unpacked(tmp_path: Path) -> None:
    files = {f"f{number}.py": bytes(90_000) for number in range(10)}

    assert fault(tmp_path, packed(files)) == "archive_too_large"


def test_a_large_file_is_left_out_and_a_header_that_lies_is_no_way_around(tmp_path: Path) -> None:
    honest = packed({"large.py": bytes(100_001), "fine.py": b"1"})
    lying = bytearray(packed({"large.py": bytes(200_000)}))
    place = lying.rindex(b"PK\x01\x02")
    struct.pack_into("<L", lying, place + 24, 10)

    found, left_out = read(tmp_path, honest)

    assert list(found) == ["fine.py"]
    assert left_out == {"file_too_large": 1}
    assert fault(tmp_path, bytes(lying)) == "archive_corrupt"


def test_what_is_not_wanted_is_passed_over_whatever_its_size(tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    path.write_bytes(packed({"a.py": b"1", "film.mp4": bytes(400_000)}))

    with opened_archive(path, SMALL) as archive:
        found = [one.path for one in archive.members(lambda name: name.endswith(".py"))]

    assert (found, archive.left_out) == (["a.py"], {})


def test_too_many_files_are_refused_before_they_are_listed(tmp_path: Path) -> None:
    many = packed({f"{number}.py": b"" for number in range(21)})
    told = bytearray(packed({"a.py": b""}))
    struct.pack_into("<L", told, told.rindex(b"PK\x05\x06") + 12, 2**31)

    assert fault(tmp_path, many) == "archive_too_many_files"
    assert fault(tmp_path, bytes(told)) == "archive_too_many_files"


def test_a_directory_of_64_bits_is_seen_wherever_a_reader_may_look_for_it(tmp_path: Path) -> None:
    whole = packed({"a.py": b""})
    end = whole.rindex(b"PK\x05\x06")
    honest, huge = (struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, size, 0) for size in (50, 2**40))

    for first, last in ((honest, huge), (huge, honest)):
        locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
        assert fault(tmp_path, whole[:end] + first + last + locator + whole[end:]) == "archive_too_many_files"


def test_an_encrypted_archive_says_so(tmp_path: Path) -> None:
    data = bytearray(packed({"a.py": b"secret"}, zipfile.ZIP_STORED))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1

    assert fault(tmp_path, bytes(data)) == "archive_encrypted"


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_what_is_packed_by_methods_without_bounds_is_left_out(tmp_path: Path, method: int) -> None:
    found, left_out = read(tmp_path, packed({"a.py": b"x = 1"}, method))

    assert not found
    assert left_out == {"unknown_compression": 1}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_path_that_comes_twice_is_read_once(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.py", b"first")
        archive.writestr("a.py", b"second")

    found, left_out = read(tmp_path, buffer.getvalue())

    assert len(found) == 1
    assert left_out == {"repeated_path": 1}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_file"),
        (b"%PDF-1.7 no archive", "media_type_mismatch"),
        (b"\x1f\x8b\x08 gzip", "media_type_mismatch"),
        (packed({"a.py": b"x" * 500})[:-30], "archive_corrupt"),
        (b"PK\x03\x04" + bytes(100), "archive_corrupt"),
        (b"PK\x05\x06" + bytes(10), "archive_corrupt"),
    ],
    ids=["empty", "pdf", "gzip", "cut off", "only a header", "only an end"],
)
def test_what_is_no_whole_archive_fails_by_name(tmp_path: Path, data: bytes, code: str) -> None:
    assert fault(tmp_path, data) == code


def test_a_large_archive_is_not_opened(tmp_path: Path) -> None:
    data = packed({"a.py": bytes(range(256)) * 20}, zipfile.ZIP_STORED)

    assert fault(tmp_path, data, MediaLimits(archive_bytes=2000)) == "archive_too_large"


def test_any_damage_is_a_fault_by_name(tmp_path: Path) -> None:
    whole = packed({"a.py": b"print('hello')\n" * 50, "b/c.py": b"x = 1\n"})

    for place in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        try:
            read(tmp_path, bytes(damaged))
        except MediaFault as caught:
            assert caught.code.startswith(("archive_", "media_type"))  # noqa: PT017 - either is right

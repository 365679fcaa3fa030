"""Which files of a folder are taken, as what, and what is made of each kind."""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import pytest
from tests.photos import png

from prismhouse.cli.ingest.files import Walked, hashed, walk
from prismhouse.cli.ingest.place import bucket_name_of
from prismhouse.cli.ingest.recipes import KINDS, UnknownExtractor, further, recipes
from prismhouse.engine.extractors.catalogue import Catalogue


def walked(folder: Path, limit_bytes: int = 10**9) -> Walked:
    return walk(folder, limit_bytes=limit_bytes)


def reasons(found: Walked) -> dict[str, str]:
    return {each.path: each.reason for each in found.left}


def entries() -> list[dict]:
    catalogue = Catalogue()
    return [catalogue.describe(record) for record in catalogue.all()]


def test_files_are_what_their_bytes_say_when_names_lie(tmp_path: Path) -> None:
    (tmp_path / "photo.txt").write_bytes(png("coffee"))
    (tmp_path / "notes.MD").write_text("# Notes")
    (tmp_path / "data.csv").write_text("a,b\n1,2\n")

    found = walked(tmp_path)

    assert {file.path: file.kind for file in found.files} == {
        "photo.txt": "image",
        "notes.MD": "markdown",
        "data.csv": "text",
    }
    assert [file.path for file in found.files if file.disguise] == ["photo.txt"]


def test_links_hidden_and_special_files_are_named_and_left(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "kept.txt").write_text("kept")
    (folder / "sub" / ".hidden").write_text("hidden")
    (folder / ".git").mkdir()
    (folder / "out").symlink_to(outside, target_is_directory=True)
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    os.mkfifo(folder / "pipe")

    found = walked(folder)

    assert [file.path for file in found.files] == ["sub/kept.txt"]
    assert set(reasons(found)) == {".git", "out", "loop", "pipe", "sub/.hidden"}
    assert not any(each.failed for each in found.left)


def test_empty_and_too_large_files_and_odd_names_fail_by_name(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    (tmp_path / "large.txt").write_text("x" * 101)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/odd\xff.txt")).write_text("odd")

    found = walked(tmp_path, limit_bytes=100)

    assert not found.files
    assert all(each.failed and each.next_step for each in found.left)
    assert {each.path for each in found.left} == {"empty.txt", "large.txt", "odd\ufffd.txt"}


def test_the_hash_is_that_of_the_file_when_it_is_read_in_pieces(tmp_path: Path) -> None:
    data = b"piece" * 500_000
    (tmp_path / "large.txt").write_bytes(data)

    assert hashed(walked(tmp_path).files[0]) == hashlib.sha256(data).hexdigest()


def test_each_kind_has_a_recipe_that_its_extractor_accepts() -> None:
    catalogue = Catalogue()

    made = recipes(entries(), transcribe=True)

    assert set(made) == set(KINDS)
    for recipe in made.values():
        record = catalogue.get(recipe.extractor, recipe.version)
        catalogue.validate_parameters(record, recipe.parameters)
        held = {"code": "binary"}.get(recipe.medium, recipe.medium)
        assert held in record.input_types[recipe.entry_input]
    assert made["video"].parameters["run_transcription"] is True
    assert "run_transcription" not in recipes(entries(), transcribe=False)["video"].parameters


def test_an_extractor_that_nobody_knew_is_used_when_it_takes_the_kind() -> None:
    new = {**entries()[0], "feature_extractor_name": "paper_extractor", "expected_input_types": {"paper": "pdf"}}
    others = [each for each in entries() if "pdf" not in each["expected_input_types"].values()]

    made = recipes([*others, new], transcribe=False)["pdf"]

    assert (made.extractor, made.entry_input, made.medium) == ("paper_extractor", "paper", "pdf")


def test_a_kind_has_no_recipe_when_no_extractor_takes_it() -> None:
    only_text = [each for each in entries() if each["feature_extractor_name"] == "text_extractor"]

    assert set(recipes(only_text, transcribe=True)) == {"text", "markdown"}


@pytest.mark.parametrize(
    ("folder", "name"),
    [("Holiday 2025!", "holiday-2025"), ("ab", "files-ab"), ("\u5199\u771f", "files"), ("x" * 200, "x" * 80)],
)
def test_a_bucket_is_named_after_the_folder(folder: str, name: str) -> None:
    assert bucket_name_of(Path("/data") / folder) == name


def test_a_blank_text_is_left_and_no_failure(tmp_path: Path) -> None:
    (tmp_path / "blank.txt").write_text(" \n\n")

    found = walked(tmp_path)

    assert [(each.path, each.reason, each.failed) for each in found.left] == [("blank.txt", "blank", False)]


def test_an_archive_is_source_code_and_an_office_file_is_not(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "examples.zip", "w") as archive:
        archive.writestr("a.py", "x = 1")
    with zipfile.ZipFile(tmp_path / "letter.docx", "w") as archive:
        archive.writestr("word/document.xml", "<w/>")

    found = {one.path: one.kind for one in walk(tmp_path, limit_bytes=10**6).files}

    assert found == {"examples.zip": "code", "letter.docx": "binary"}
    recipe = recipes(entries(), transcribe=False)["code"]
    assert (recipe.extractor, recipe.entry_input, recipe.medium) == ("course_content_extractor", "code_archive", "code")


def test_further_extractors_are_named_by_kind_and_unknown_ones_refused() -> None:
    usual = recipes(entries(), transcribe=False)

    faces = further(entries(), ["face_identity_extractor"], usual)

    assert {name: recipe.kind for name, recipe in faces.items()} == {
        "image-face-identity": "image",
        "video-face-identity": "video",
        "pdf-face-identity": "pdf",
    }
    assert faces.keys() < further(entries(), ["all"], usual).keys()
    assert not further(entries(), [], usual)
    with pytest.raises(UnknownExtractor, match="nose_extractor"):
        further(entries(), ["nose_extractor"], usual)

"""The demo's photos and texts are really inside the packages."""

from __future__ import annotations

import pytest

from prismhouse.cli.demo import material
from prismhouse.cli.demo.faults import DemoFailed
from prismhouse.cli.demo.questions import QUESTIONS


def test_every_photo_has_bytes_and_a_note_when_packages_are_installed():
    photos = material.photos()

    assert len(photos) == len({photo.file for photo in photos}) == 14
    assert all(photo.data.startswith((b"\x89PNG", b"\xff\xd8")) for photo in photos)
    assert all(photo.note for photo in photos)


def test_note_says_what_the_photo_shows_when_it_is_a_docstring():
    notes = {photo.file: photo.note for photo in material.photos()}

    assert notes["chelsea.png"].startswith("Chelsea the cat.")
    assert "Falcon 9" in notes["rocket.jpg"]
    assert "ndarray" not in notes["coffee.png"]


def test_expected_answers_exist_when_questions_are_asked():
    files = {item.file for item in [*material.texts(), *material.photos()]}

    assert {question.expected_file for question in QUESTIONS} <= files


def test_demo_names_the_install_command_when_a_package_is_missing():
    with pytest.raises(DemoFailed, match=r"pip install 'prismhouse\[all,demo\]'"):
        material.package_folder("no_such_package", "no-such-package")

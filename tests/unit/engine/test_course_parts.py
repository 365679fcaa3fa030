"""Source files fall into their functions; code is told from prose; subtitles are read as they are found."""

from __future__ import annotations

import pytest

from prismhouse.engine.extractors.course.code_like import guessed_language, looks_like_code
from prismhouse.engine.extractors.course.cues import subtitles
from prismhouse.engine.extractors.course.languages import language_of
from prismhouse.engine.extractors.course.parts import parts_of
from prismhouse.engine.extractors.port import Part
from prismhouse.engine.media.errors import MediaFault

PYTHON = '''"""A module."""

import os

LIMIT = 3


# Adds two numbers.
@cached
def add(a, b):
    return a + b


class Shape:
    """Something with an area."""

    sides = 0

    def area(self):
        """Say how large it is."""

        def inner():
            return 1

        return inner()

    async def draw(self): ...


if __name__ == "__main__":
    print(add(1, 2))
'''
SOURCES = {
    "javascript": """\
import x from 'y';

// Adds.
export const add = (a, b) => a + b;
class P {
  get() { return 1; }
}
""",
    "typescript": """\
interface A {
  x: number;
}
export default class P<T> {
  get(x: string): void {
    return;
  }
}
""",
    "tsx": """\
// Adds.
export function add() {
  return <div/>;
}
""",
    "go": """\
package main

// Adds.
func (c *P) add() int {
  return 1
}
type P struct {
  r float64
}
""",
    "rust": """\
use std::fmt;
/// Adds.
#[inline]
fn add() -> u8 {
  1
}
impl P {
  fn get(&self) {
  }
}
""",
    "c": """\
#include <a.h>
/* Adds. */
static int *add(int a)
{
  return a;
}
""",
    "cpp": """\
#include <x>
template <typename T>
class P {
 public:
  int get() { return 1; }
};
// Adds.
int add(int a) {
  return a;
}
""",
    "java": """\
package a;
/** A. */
public class P {
  /** Adds. */
  @Override
  public int add(int c) {
    return c;
  }
}
""",
    "c_sharp": """\
using System;
class P {
  // Adds.
  public int add(int c) {
    return c;
  }
}
""",
    "ruby": """\
module M
  class P
    # Adds.
    def add(c)
      c
    end
  end
end
""",
    "php": """\
<?php
class P {
  /** Adds. */
  public function add($c) {
    return $c;
  }
}
""",
}


def test_functions_carry_their_decorators_comments_and_docstrings() -> None:
    parts = parts_of(PYTHON, "python")

    assert [(one.kind, one.title, one.first, one.last) for one in parts] == [
        ("block", None, 1, 5),
        ("function", "add", 8, 11),
        ("class", "Shape", 14, 17),
        ("function", "Shape.area", 19, 25),
        ("function", "Shape.draw", 27, 27),
        ("block", None, 30, 31),
    ]
    assert [one.told for one in parts if one.told] == [
        "Adds two numbers.",
        "Something with an area.",
        "Say how large it is.",
    ]


@pytest.mark.parametrize("language", SOURCES)
def test_functions_are_found_with_their_comments_in_every_grammar(language: str) -> None:
    parts = parts_of(SOURCES[language], language)

    found = next(one for one in parts if one.kind == "function" and one.title and one.title.endswith(("add", "get")))
    told = [one.told for one in parts if one.told]
    assert found.title is not None
    assert "Adds." in told or language == "typescript", parts
    lines = SOURCES[language].split("\n")
    held = "\n".join("\n".join(lines[one.first - 1 : one.last]) for one in parts)
    assert "add" in held or "get" in held


def test_a_long_part_goes_on_in_further_ones_of_its_name() -> None:
    source = "def long():\n" + "\n".join(f"    x{number} = {number}" for number in range(900))

    parts = parts_of(source, "python")

    assert [(one.first, one.last, one.title) for one in parts] == [
        (1, 400, "long"),
        (401, 800, "long"),
        (801, 901, "long"),
    ]


def test_broken_source_still_falls_into_parts() -> None:
    parts = parts_of("def a(:\n  x ==== \n\ndef b():\n    return 1\n}}}}", "python")

    assert any(one.title == "b" for one in parts)
    assert not parts_of("\n \n", "python")
    assert [one.kind for one in parts_of("x\n", None)] == ["block"]


def test_deep_nesting_ends_no_process() -> None:
    assert parts_of("f(\n" * 50_000, "python")
    assert parts_of("class A:\n" + "".join(" " * depth + f"class C{depth}:\n" for depth in range(1, 400)), "python")


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("a/B.PY", "python"),
        ("x.tsx", "tsx"),
        ("x.h", "c"),
        ("Dockerfile", "dockerfile"),
        ("lesson.ipynb", "notebook"),
        ("photo.png", None),
        ("LICENSE", None),
    ],
)
def test_the_name_of_a_file_says_its_language(path: str, language: str | None) -> None:
    assert language_of(path) == language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("def add(a, b):\n    return a + b\n\nprint(add(1, 2))", "python"),
        ("const x = 1;\nfunction f(a) {\n  return a;\n}", "javascript"),
        ("SELECT name, age\nFROM people\nWHERE age > 3", "sql"),
        ("#include <stdio.h>\nint main(void) {\n  printf(\"x\");\n}", "c"),
        ("$ pip install prismhouse\n$ cd work", "bash"),
        ("package main\n\nfunc main() {\n\tx := 1\n}", "go"),
    ],
)  # fmt: skip
def test_code_is_told_and_its_language_guessed(text: str, language: str) -> None:
    assert looks_like_code(text)
    assert guessed_language(text) == language


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A list can be sorted in place. The method returns nothing, and for good reason.",
        "1. Introduction\n2. Methods\n3. Results",
        "Return on investment\nGrowth in the second year\nImport duties",
        "Welcome to the lecture\nPlease ask questions",
        "Modality | Objects | Size GB\ntext | 12000 | 3.1",
    ],
)
def test_prose_is_no_code(text: str) -> None:
    assert not looks_like_code(text)


def test_hostile_lines_are_told_in_no_time() -> None:
    for text in ("a(" * 100_000, "\n" * 100_000, "x" * 1_000_000, "((" * 50_000 + "\n" * 50_000, "import a " * 100_000):
        looks_like_code(text)
        guessed_language(text)


def said(data: bytes | str) -> list[tuple[float, float, str]]:
    part = Part(type="text", text=data) if isinstance(data, str) else Part(type="text", data=data)
    return [(word.start, word.end, word.text.strip()) for word in subtitles(part).words]


FIRST = "1\n00:00:01,000 --> 00:00:02,500\nHello <i>there</i>\n\n2\n00:00:03,000 --> 00:00:04,000\nGood\nday\n"
WANTED = [(1.0, 2.5, "Hello there"), (3.0, 4.0, "Good day")]


@pytest.mark.parametrize(
    "data",
    [
        FIRST,
        FIRST.replace("\n", "\r\n"),
        FIRST.replace("\n", "\r"),
        b"\xef\xbb\xbf" + FIRST.encode(),
        FIRST.encode("utf-16"),
        "WEBVTT\n\n" + FIRST.replace(",", "."),
        "\n\n\n" + FIRST + "\n\n3\n00:00:09,000 --> 00:00:10,000\n\n",
        "2\n00:00:03,000 --> 00:00:04,000\nGood day\n\n1\n00:00:01,000 --> 00:00:02,500\nHello there\n",
    ],
)
def test_subtitles_are_read_as_they_are_found(data: bytes | str) -> None:
    assert said(data) == WANTED


def test_subtitles_that_overlap_or_end_before_they_begin_keep_their_words() -> None:
    text = (
        "1\n00:00:01,000 --> 00:00:09,000\none\n\n2\n00:00:02,000 --> 00:00:01,000\ntwo\n\n"
        "3\n99:59:59,999 --> 00:00:00,000\nthree"
    )

    assert said(text) == [(1.0, 9.0, "one"), (2.0, 2.0, "two"), (359999.999, 359999.999, "three")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"no times at all", "no_time_stamps"),
        (b"00:00:01,000 --> 00:00:02,000\n\n", "no_time_stamps"),
        (b"", "no_time_stamps"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR --> ", "media_type_mismatch"),
        ("s3://bucket/talk.srt", "no_file"),
    ],
)
def test_what_is_no_subtitles_fails_by_name(data: bytes | str, code: str) -> None:
    with pytest.raises(MediaFault) as caught:
        said(data)

    assert caught.value.code == code

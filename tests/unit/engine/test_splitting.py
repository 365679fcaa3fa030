"""How texts are split: coverage, sizes, overlaps, and the structures people write."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismhouse.engine.extractors.sentences import sentence_spans
from prismhouse.engine.extractors.splitting import SplitRule, split
from prismhouse.engine.media.errors import MediaFault

_SLICED = ("none", "characters", "words", "sentences", "paragraphs", "pages")
_texts = st.text(
    alphabet=st.sampled_from("ab Z1.,!?\"'()\n\n\t\f #`~-=。！今日é😀"),
    max_size=300,
)


@st.composite
def _rules(draw: st.DrawFn, kinds: tuple[str, ...] = (*_SLICED, "markdown")) -> SplitRule:
    size = draw(st.integers(1, 40))
    return SplitRule(by=draw(st.sampled_from(kinds)), size=size, overlap=draw(st.integers(0, size - 1)))


def _missing(text: str, covered: set[int]) -> str:
    return "".join(c for place, c in enumerate(text) if place not in covered and not c.isspace())


@given(_texts, _rules(_SLICED))
def test_chunks_are_slices_that_cover_the_text_when_split_by_units(text: str, rule: SplitRule) -> None:
    chunks = split(text, rule)

    covered = {place for chunk in chunks for place in range(chunk.start, chunk.end)}
    assert all(chunk.text == text[chunk.start : chunk.end] for chunk in chunks)
    assert all(chunk.text.strip() for chunk in chunks)
    assert _missing(text, covered) == ""


@given(_texts, _rules())
def test_chunks_are_the_same_when_split_again(text: str, rule: SplitRule) -> None:
    assert split(text, rule) == split(text, rule)


@given(st.text(alphabet="abcdefgh", min_size=1, max_size=200), _rules(("characters",)))
def test_sizes_and_overlaps_are_exact_when_split_by_characters(text: str, rule: SplitRule) -> None:
    chunks = split(text, rule)

    assert all(len(chunk.text) == rule.size for chunk in chunks[:-1])
    assert len(chunks[-1].text) <= rule.size
    assert all(before.end - after.start == rule.overlap for before, after in pairwise(chunks))


@given(st.lists(st.text(alphabet="abcxyz", min_size=1, max_size=6), min_size=1, max_size=60), _rules(("words",)))
def test_sizes_and_overlaps_are_exact_when_split_by_words(words: list[str], rule: SplitRule) -> None:
    chunks = [chunk.text.split() for chunk in split(" ".join(words), rule)]

    assert all(len(chunk) == rule.size for chunk in chunks[:-1])
    for before, after in pairwise(chunks):
        assert before[len(before) - rule.overlap :] == after[: rule.overlap]


@given(_texts, st.integers(10, 60))
def test_markdown_keeps_every_letter_when_sections_are_packed(text: str, size: int) -> None:
    chunks = split(text, SplitRule(by="markdown", size=size))

    covered = {place for chunk in chunks for place in range(chunk.start, chunk.end)}
    lost = _missing(text, covered)
    assert lost.strip("`~") == "" or "```" in text or "~~~" in text
    for chunk in chunks:
        if chunk.fields["chunk_kind"] == "section":
            assert len(chunk.text) <= size


def test_nothing_is_returned_when_text_is_blank() -> None:
    assert split(" \n\t\f ", SplitRule(by="words")) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Smith met Mr. J. R. Jones. They left.", ["Dr. Smith met Mr. J. R. Jones.", "They left."]),
        ("It costs 3.14 dollars. Fine.", ["It costs 3.14 dollars.", "Fine."]),
        ("See Fig. 3 and No. 7. He said no. Then he went.", ["See Fig. 3 and No. 7.", "He said no.", "Then he went."]),
        ("Use e.g. Python. Or i.e. this.", ["Use e.g. Python.", "Or i.e. this."]),
        ('"Really?" she asked. "Yes."', ['"Really?" she asked.', '"Yes."']),
        ("He said “Go.” She went.", ["He said “Go.”", "She went."]),
        ("今天很好。明天呢？「好！」走。", ["今天很好。", "明天呢？", "「好！」", "走。"]),
        ("Wait... what? Ok", ["Wait... what?", "Ok"]),
        ("The U.S. Army. It was I. Done.", ["The U.S. Army.", "It was I.", "Done."]),
        ("A heading\n\nA paragraph", ["A heading", "A paragraph"]),
    ],
)
def test_sentences_end_where_a_reader_ends_them_when_marks_are_ambiguous(text: str, expected: list[str]) -> None:
    assert [text[slice(*span)] for span in sentence_spans(text)] == expected


def test_pages_keep_their_number_when_a_page_is_blank() -> None:
    chunks = split("one\f \fthree", SplitRule(by="pages", size=1))

    assert [(chunk.text, chunk.fields["page_number"]) for chunk in chunks] == [("one", 1), ("three", 3)]


_GUIDE = """---
title: x
---
Intro.

# Guide

First words.

```python title="a"
print("# not a heading")

x = 1
```

Last words.

Install
-------

~~~
plain
~~~

### Deep ##

- a list
---
After a rule.
"""


def test_markdown_gives_sections_and_code_when_headings_and_fences_mix() -> None:
    chunks = split(_GUIDE, SplitRule(by="markdown", size=1000))

    told = [(c.fields["chunk_kind"], c.fields["heading_path"], c.fields.get("code_language")) for c in chunks]
    assert told == [
        ("section", [], None),
        ("section", ["Guide"], None),
        ("code", ["Guide"], "python"),
        ("section", ["Guide", "Install"], None),
        ("code", ["Guide", "Install"], None),
        ("section", ["Guide", "Install", "Deep"], None),
    ]
    assert chunks[1].text == "# Guide\n\nFirst words.\n\nLast words."
    assert chunks[2].text == 'print("# not a heading")\n\nx = 1\n'
    assert chunks[5].text == "### Deep ##\n\n- a list\n---\nAfter a rule."


def test_markdown_splits_between_paragraphs_but_never_code_when_sections_are_long() -> None:
    code = "\n".join(f"line {number}" for number in range(50))
    text = f"# T\n\n{'a' * 60}\n\n{'b' * 60}\n\n```\n{code}\n```\n"

    chunks = split(text, SplitRule(by="markdown", size=70, overlap=10))

    assert [chunk.text for chunk in chunks] == ["# T\n\n" + "a" * 60, "b" * 60, code + "\n"]


_SRT = """1
00:00:01,000 --> 00:00:04,500
Hello <i>there</i>.

2
00:01:59,000 --> 00:02:03,000
Two
lines.

3
00:04:10,250 --> 00:04:12,000
The end.
"""


def test_segments_hold_the_cues_that_start_in_them_when_text_is_srt() -> None:
    chunks = split(_SRT, SplitRule(by="time_segments", segment_seconds=120))

    assert [chunk.text for chunk in chunks] == ["Hello there. Two lines.", "The end."]
    assert chunks[0].fields == {"start_ms": 1000, "end_ms": 123_000, "segment_index": 0, "total_segments": 2}
    assert chunks[1].fields == {"start_ms": 250_250, "end_ms": 252_000, "segment_index": 1, "total_segments": 2}


def test_segments_share_cues_when_they_overlap() -> None:
    text = "\n".join(f"[00:0{minute}:00] word{minute}" for minute in range(4))

    chunks = split(text, SplitRule(by="time_segments", segment_seconds=120, overlap=60))

    assert [chunk.text for chunk in chunks] == ["word0 word1", "word1 word2", "word2 word3", "word3"]


@pytest.mark.parametrize("text", ["WEBVTT\n\n00:01.000 --> 00:02.000 align:left\nHi", "0:01 - Hi", "(00:01) Hi"])
def test_cues_are_found_when_written_in_other_ways(text: str) -> None:
    (chunk,) = split(text, SplitRule(by="time_segments"))

    assert (chunk.text, chunk.fields["start_ms"]) == ("Hi", 1000)


def test_a_fault_names_the_remedy_when_text_has_no_time_stamps() -> None:
    with pytest.raises(MediaFault, match="Choose another split_by") as caught:
        split("no times here", SplitRule(by="time_segments"))

    assert caught.value.code == "no_time_stamps"


def test_words_before_the_first_stamp_are_kept_when_lines_are_stamped() -> None:
    (chunk,) = split("Transcript of a talk\n[00:00:05] Hi", SplitRule(by="time_segments"))

    assert chunk.text == "Transcript of a talk Hi"


def test_a_fault_names_the_limit_when_overlap_makes_too_many_chunks() -> None:
    with pytest.raises(MediaFault, match="lower chunk_overlap") as caught:
        split("a" * 60_000, SplitRule(by="characters", size=5001, overlap=5000))

    assert caught.value.code == "too_many_chunks"


@pytest.mark.timeout(10)
@pytest.mark.parametrize("by", ["sentences", "paragraphs", "words", "markdown", "pages"])
@pytest.mark.parametrize("piece", ["~", "`", "#", "# ", "\n ", " \t", ". ", "...", "- \n", "=", "\n\n", "<a", "“"])
def test_splitting_is_fast_when_text_is_adversarial(by: str, piece: str) -> None:
    text = "# " + piece * (100_000 // len(piece)) + " `x"

    with suppress(MediaFault):
        split(text, SplitRule(by=by, size=1000))


_cues = st.lists(
    st.tuples(st.integers(0, 2000), st.text(alphabet="abc xyz.", min_size=1, max_size=12).filter(str.strip)),
    min_size=1,
    max_size=25,
)


def _subtitles(cues: list[tuple[int, str]]) -> str:
    """Return cues of two seconds as SRT."""

    def stamp(seconds: int) -> str:
        return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02},000"

    blocks = (f"{n}\n{stamp(at)} --> {stamp(at + 2)}\n{words}\n" for n, (at, words) in enumerate(cues, start=1))
    return "\n".join(blocks)


@given(_cues, st.integers(30, 600), st.integers(0, 29))
def test_every_cue_is_in_the_segments_of_its_time_when_text_is_timed(
    cues: list[tuple[int, str]], seconds: int, overlap: int
) -> None:
    cues = [(at, f"{number} {words}") for number, (at, words) in enumerate(sorted(cues, key=lambda cue: cue[0]))]
    rule = SplitRule(by="time_segments", segment_seconds=seconds, overlap=overlap)

    chunks = split(_subtitles(cues), rule)

    for at, words in cues:
        holding = [one for one in chunks if one.fields["start_ms"] <= at * 1000 < one.fields["end_ms"]]
        assert any(" ".join(words.split()) in one.text for one in holding)
    for chunk in chunks:
        assert chunk.fields["end_ms"] - chunk.fields["start_ms"] <= (seconds + 2) * 1000
    assert [one.fields["segment_index"] for one in chunks] == list(range(len(chunks)))
    assert {one.fields["total_segments"] for one in chunks} == {len(chunks)}


@given(_texts, _rules(("pages",)))
def test_every_page_is_in_a_chunk_that_tells_its_number_when_split_by_pages(text: str, rule: SplitRule) -> None:
    chunks = split(text, rule)

    for number, page in enumerate(text.split("\f"), start=1):
        if page.strip():
            holding = [one for one in chunks if one.fields["page_number"] <= number]
            assert any(page.strip() in one.text for one in holding)
    for chunk in chunks:
        before = text[: chunk.start].count("\f") + 1
        assert chunk.fields["page_number"] <= before < chunk.fields["page_number"] + rule.size


@given(
    st.lists(st.text(alphabet="abc d.", min_size=1, max_size=12).filter(str.strip), min_size=1, max_size=30),
    _rules(("paragraphs",)),
)
def test_sizes_and_overlaps_are_exact_when_split_by_paragraphs(paragraphs: list[str], rule: SplitRule) -> None:
    text = "\n\n".join(one.strip() for one in paragraphs)

    chunks = [chunk.text.split("\n\n") for chunk in split(text, rule)]

    assert all(len(chunk) == rule.size for chunk in chunks[:-1])
    for before, after in pairwise(chunks):
        assert before[len(before) - rule.overlap :] == after[: rule.overlap]


@given(st.integers(1, 60), _rules(("sentences",)))
def test_sizes_and_overlaps_are_exact_when_split_by_sentences(count: int, rule: SplitRule) -> None:
    sentences = [f"Sentence {number} stands here." for number in range(count)]

    chunks = split(" ".join(sentences), rule)

    held = [chunk.text.count("Sentence") for chunk in chunks]
    assert all(number == rule.size for number in held[:-1])
    assert sum(held) - rule.overlap * (len(held) - 1) == count


@given(_texts)
def test_a_text_is_one_chunk_as_it_is_when_it_is_not_split(text: str) -> None:
    chunks = split(text, SplitRule())

    assert [(one.text, one.start, one.end) for one in chunks] == ([(text, 0, len(text))] if text.strip() else [])


@given(_texts, _rules())
def test_offsets_are_places_of_the_text_and_grow_when_it_is_split(text: str, rule: SplitRule) -> None:
    chunks = split(text, rule)

    assert all(0 <= one.start < one.end <= len(text) for one in chunks)
    assert [one.start for one in chunks] == sorted(one.start for one in chunks)
    for one in chunks:
        assert one.text.split()[0] in text[one.start : one.end]

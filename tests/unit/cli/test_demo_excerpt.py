"""What an answer shows of a document."""

from __future__ import annotations

from prismhouse.cli.demo.excerpt import WIDTH, excerpt


def test_excerpt_starts_at_the_sentence_with_the_question_when_the_text_is_long():
    text = f"A title\n--------\nWines are grown. {'Nothing here. ' * 5}A block group\nhas 600 people. More follows."

    assert excerpt({"text": text}, "How many people live in a block group?") == (
        '"... A block group has 600 people. More follows."'
    )


def test_excerpt_is_the_beginning_when_no_word_is_shared():
    assert excerpt({"text": "First. Second."}, "zebra?") == '"First. Second."'


def test_excerpt_ends_at_a_word_when_it_is_cut():
    shown = excerpt({"text": "word " * 100}, "?")

    assert shown.endswith('word ..."')
    assert len(shown) <= WIDTH + 6


def test_excerpt_of_a_photo_names_each_likely_label_once():
    labels = [
        {"label": "missile", "confidence": 0.0724},
        {"label": "missile", "confidence": 0.061},
        {"label": "shuttle", "confidence": 0.04},
        {"label": "crane", "confidence": 0.01},
    ]

    assert excerpt({"labels": labels}, "a rocket") == "looks like missile 7%, shuttle 4%"
    assert excerpt({"labels": labels[3:]}, "a rocket") == "looks like nothing it knows"

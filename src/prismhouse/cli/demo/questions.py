"""What the demo asks, and which file is the right answer: looked at by people, checked by a test."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["QUESTIONS", "Question"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question for one retriever. `expected_file` is the file that must be the first answer.

    With `like`, the question is not the text but the photo of that name.
    """

    retriever: str
    text: str
    expected_file: str
    like: str | None = None


QUESTIONS = (
    Question(
        retriever="ask-texts",
        text="Which animals live in the rain forest of South America?",
        expected_file="species_distributions.rst",
    ),
    Question(
        retriever="ask-texts",
        text="How many people live in a block group?",
        expected_file="california_housing.rst",
    ),
    Question(
        retriever="ask-texts",
        text="Which measurements were taken in a fitness club?",
        expected_file="linnerud.rst",
    ),
    Question(retriever="ask-photos", text="a striped cat", expected_file="chelsea.png"),
    Question(retriever="ask-photos", text="a palace above a lake", expected_file="china.jpg"),
    Question(retriever="ask-photos", text="a vehicle with two wheels", expected_file="motorcycle_left.png"),
    Question(retriever="ask-both", text="a rocket on its launch pad", expected_file="rocket.jpg"),
    Question(retriever="ask-both", text="ancient money", expected_file="coins.png"),
    Question(
        retriever="look-alikes",
        text="photos that look like motorcycle_left.png",
        expected_file="motorcycle_right.png",
        like="motorcycle_left.png",
    ),
)

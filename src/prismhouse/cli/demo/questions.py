"""What the demo asks, and which file is the right answer: looked at by people, checked by a test."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["QUESTIONS", "Question"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question for one retriever. `expected_file` is the file that must be the first answer."""

    retriever: str
    text: str
    expected_file: str


QUESTIONS = (
    Question(
        retriever="ask-texts",
        text="Which animals live in the rain forest of South America?",
        expected_file="species_distributions.rst",
    ),
    Question(
        retriever="ask-texts",
        text="How can a doctor tell whether a tumour is malignant?",
        expected_file="breast_cancer.rst",
    ),
    Question(retriever="ask-texts", text="Where were the wines grown?", expected_file="wine_data.rst"),
    Question(retriever="ask-photos", text="a striped cat", expected_file="chelsea.png"),
    Question(retriever="ask-photos", text="an old Chinese temple", expected_file="china.jpg"),
    Question(retriever="ask-photos", text="a vehicle with two wheels", expected_file="motorcycle_left.png"),
    Question(retriever="ask-both", text="a rocket lifting off", expected_file="rocket.jpg"),
    Question(retriever="ask-both", text="a cup of coffee", expected_file="coffee.png"),
)

"""What a person sees in the paper of `tests/papers.py`, page by page: headings, tables, figures, and how it goes on.

Told by eye from the drawn pages, not from its text layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["FIGURES", "HEADINGS", "PAGES", "PASSAGES", "TABLES", "out_of_order"]

PAGES = 20
TABLES = (9, 13, 14, 14, 16)
"""The pages of the tables."""
FIGURES = (5, 6, 8, 14)

HEADINGS: tuple[tuple[int, str], ...] = (
    (1, "Argon2: the memory-hard function for password hashing and other applications"),
    (1, "Contents"),
    (2, "1 Introduction"),
    (3, "2 Definitions"),
    (3, "2.1 Motivation"),
    (4, "2.2 Model for memory-hard functions"),
    (4, "3 Specification of Argon2"),
    (4, "3.1 Inputs"),
    (5, "3.2 Operation"),
    (6, "3.3 Indexing"),
    (7, "3.4 Compression function G"),
    (8, "4 Features"),
    (8, "4.1 Available features"),
    (9, "4.2 Possible future extensions"),
    (9, "5 Security analysis"),
    (9, "5.1 Ranking tradeoff attack"),
    (9, "5.2 Memory optimization attack"),
    (10, "5.3 Attack on iterative compression function"),
    (10, "5.4 Security of Argon2 to generic attacks"),
    (11, "5.5 Security of Argon2 to ranking tradeoff attacks"),
    (12, "5.6 Security of Argon2i to generic tradeoff attacks on random graphs"),
    (12, "5.7 Summary of tradeoff attacks"),
    (12, "6 Design rationale"),
    (12, "6.1 Indexing function"),
    (13, "6.2 Implementing parallelism"),
    (15, "6.3 Compression function design"),
    (15, "6.3.1 Overview"),
    (15, "6.3.2 Design criteria"),
    (16, "6.4 User-controlled parameters"),
    (16, "7 Performance"),
    (16, "7.1 x86 architecture"),
    (16, "8 Applications"),
    (17, "9 Recommended parameters"),
    (17, "10 Conclusion"),
    (17, "References"),
    (18, "A Permutation P"),
    (19, "B Additional functionality"),
    (20, "C Change log"),
    (20, "C.1 v.1.3"),
    (20, "C.2 v1.2.1 – February 1st, 2016"),
    (20, "C.3 v1.2 – 21th June, 2015"),
    (20, "C.4 v1.1 – 6th February, 2015"),
)

PASSAGES: Mapping[int, Sequence[str]] = {
    1: ("Designers: Alex Biryukov", "Version 1.3 of Argon2", "2.1 Motivation", "7.1 x86 architecture"),
    2: ("C Change log", "Passwords, despite all", "A trivial solution for", "Is it better to fill more"),
    3: ("How should the input", "We offer a hashing scheme", "We aim to maximize the cost", "The 50-nm DRAM"),
    4: (
        "The maximum memory bandwidth achieved",
        "Independent of the password",
        "There are two flavors",
        "Secondary inputs",
    ),
    5: ("Degree of parallelism", "Figure 1:", "follows the extract-then-expand", "is determined differently"),
    6: ("we repeat the procedure", "Then we apply", "Figure 2:", "To enable parallel", "Getting two 32-bit"),
    7: ("is the pass number", "All the numbers are put", "To avoid floating-point", "is built upon the", "Finally, G"),
    8: ("Figure 3:", "is a multi-purpose family", "Tradeoff resilience", "Additional input support"),
    9: ("Argon2 can be rather easily", "To figure out the costs", "Table 1:", "As reported in [6]"),
    10: ("for the previous passes", "Let us consider the following", "Now we consider preimage"),
    11: ("Internal collision", "By specification, the value", "Thus we get a contradiction", "Time and computation"),
    12: ("The recent paper by Alwen", "The best attack on the 1-", "was designed with the", "For the data-dependent"),
    13: (
        "For the data-independent",
        "Initially, we considered",
        "We got the following",
        "To summarize",
        "As modern CPUs",
    ),
    14: ("Table 2:", "Table 3:", "The simplest way to use", "We suggest the following", "Figure 4:"),
    15: ("We prove that block", "In contrast to attacks", "It was demonstrated that", "As a result, any output"),
    16: ("Table 4:", "We have made a number", "To optimize the data load", "Argon2d is optimized"),
    17: ("Backend server authentication", "We recommend the following", "Select the tag length", "J. Alwen"),
    18: ("Phc benchmarks", "Balloon hashing", "Area-time complexity", "is based on the round", "Then we do"),
    19: ("are additions modulo", "The following functionality", "Sbox-hardened version", "The S-box is generated"),
    20: ("The blocks are XORed", "The specification of v1.2.1", "Non-uniform indexing rule", "Non-zero constant"),
}
"""Beginnings of lines on each page, in the order in which they are read."""


def out_of_order(told: Sequence[Mapping[str, Any]]) -> int:
    """Return how many of the passages are missing on their pages, or stand before the one that goes before them."""
    wrong = 0
    for number, passages in PASSAGES.items():
        page = " ".join(" ".join(one["text_raw"].split()) for one in told if one["page_number"] == number)
        reached = -1
        for passage in passages:
            at = page.find(passage, reached + 1)
            wrong += at < 0
            reached = max(reached, at)
    return wrong

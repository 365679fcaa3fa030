"""Measurements of the whole product: seeded, checked against bounds, raw results kept in `results/`.

`python -m bench` runs all; `python -m bench.search` one. `harness.py` says what every result holds.
"""

"""What is kept of bands that move and rest by turns."""

from __future__ import annotations

import numpy as np

from prismhouse.engine.extractors.scrolling.bands import BandFinder
from prismhouse.engine.extractors.scrolling.motion import Rule, Sample

_WIDTH, _MOST = 320, 2000


def test_what_a_band_that_pauses_keeps_is_limited_too() -> None:
    random = np.random.default_rng(5)
    words = np.repeat(random.integers(0, 2, (30, 1200)) * 255.0, 4, axis=1).astype(np.float32)
    finder = BandFinder(Rule(strip_height=20, min_shift=2, consistency=0.6), pad=4, most_width=_MOST)
    gone = 0
    for number in range(600):
        gone += 6 if number % 60 < 30 else 0
        picture = np.full((120, _WIDTH), 90, np.float32)
        picture[40:70] = words[:, gone : gone + _WIDTH]
        finder.take(Sample(number / 5, picture))

    bands = finder.close()

    kept = sum(passage.shape[1] for band in bands for passage in band.passages)
    assert sum(band.travelled for band in bands) < _MOST
    assert finder.is_cut
    assert _MOST < kept < _MOST + 2 * _WIDTH

"""scrolling_text_extractor v1: what tickers say that run through a video from side to side.

parameters.py says what may be set, motion.py finds rows that move sideways, bands.py follows them through the video and
puts what passes into one long strip, ocr.py reads strips, extract.py goes through a row, record.py is what the
catalogue tells.
"""

from prismhouse.engine.extractors.scrolling.parameters import ScrollingParameters
from prismhouse.engine.extractors.scrolling.record import DEFINITION

__all__ = ["DEFINITION", "ScrollingParameters"]

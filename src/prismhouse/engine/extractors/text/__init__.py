"""text_extractor v1: a text becomes one document, or one for each chunk, with a vector of its words.

parameters.py says what may be set, record.py what the catalogue tells, fields.py what documents hold, extract.py goes
through rows. How a text is split stands in splitting.py, beside this folder: pages of sites are split alike.
"""

from prismhouse.engine.extractors.text.record import DEFINITION

__all__ = ["DEFINITION"]

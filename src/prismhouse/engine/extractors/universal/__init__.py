"""universal_extractor v1: any file, told by its bytes, becomes documents of one vector space.

parameters.py says what may be set, record.py what the catalogue tells, extract.py finds out what a file is; film.py
takes videos and sounds, paper.py pages and texts, picture.py images.
"""

from prismhouse.engine.extractors.universal.record import DEFINITION

__all__ = ["DEFINITION"]

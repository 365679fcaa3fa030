"""universal_extractor v1: any file, told by its bytes, becomes documents of one vector space.

parameters.py says what may be set, record.py what the catalogue tells, extract.py finds out what a file is; video.py
takes videos and sounds, pdf.py, text.py and image.py the rest; documents.py embeds, description.py has a model tell
what is there.
"""

from prismhouse.engine.extractors.universal.record import DEFINITION

__all__ = ["DEFINITION"]

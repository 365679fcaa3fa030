"""multimodal_extractor v1 and v2: texts, images, animations, videos and sounds in one vector space.

parameters.py says what may be set, record.py what the catalogue tells, extract.py goes through a row, film.py turns a
video into segments, sound.py a sound; speech.py transcribes.
"""

from prismhouse.engine.extractors.multimodal.parameters import MultimodalParameters
from prismhouse.engine.extractors.multimodal.record import DEFINITION, DEFINITION_V2

__all__ = ["DEFINITION", "DEFINITION_V2", "MultimodalParameters"]

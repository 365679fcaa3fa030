"""multimodal_extractor v1 and v2: texts, images, animations, videos and sounds in one vector space.

parameters.py says what may be set, record.py what the catalogue tells, extract.py goes through a row, video.py turns a
video into segments, audio.py a sound; ocr.py reads what is written, description.py has a model describe.
"""

from prismhouse.engine.extractors.multimodal.parameters import MultimodalParameters
from prismhouse.engine.extractors.multimodal.record import DEFINITION, DEFINITION_V2

__all__ = ["DEFINITION", "DEFINITION_V2", "MultimodalParameters"]

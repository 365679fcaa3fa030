"""face_identity_extractor v1: the faces of images, pages and videos, each with a vector that tells persons apart.

parameters.py says what may be set, record.py what the catalogue tells, views.py reads pictures out of files, extract.py
goes through a row, quality.py rates a face, known.py tells faces of a video that were seen before.
"""

from prismhouse.engine.extractors.face.parameters import FaceParameters
from prismhouse.engine.extractors.face.record import DEFINITION

__all__ = ["DEFINITION", "FaceParameters"]

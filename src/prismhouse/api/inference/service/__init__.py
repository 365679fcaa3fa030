"""Ask a model (infer.py) or try an extractor (trial.py); how files come in, what is kept, how much at once.

A model answers with vectors of texts (vectors.py), with what it writes (written.py), or with what it sees in a file
(seen.py); answers that are known come first (recall.py).
"""

from prismhouse.api.inference.service.cache import AnswerCache
from prismhouse.api.inference.service.extract import AsBatchesDo
from prismhouse.api.inference.service.infer import Inference
from prismhouse.api.inference.service.pool import Pool
from prismhouse.api.inference.service.recall import Recall
from prismhouse.api.inference.service.room import Room
from prismhouse.api.inference.service.seen import Seen
from prismhouse.api.inference.service.sources import Sources
from prismhouse.api.inference.service.trial import Samples, Trials
from prismhouse.api.inference.service.vectors import Vectors
from prismhouse.api.inference.service.writing import THREADS as WRITING_THREADS
from prismhouse.api.inference.service.writing import Writers
from prismhouse.api.inference.service.written import Written

__all__ = [
    "WRITING_THREADS",
    "AnswerCache",
    "AsBatchesDo",
    "Inference",
    "Pool",
    "Recall",
    "Room",
    "Samples",
    "Seen",
    "Sources",
    "Trials",
    "Vectors",
    "Writers",
    "Written",
]

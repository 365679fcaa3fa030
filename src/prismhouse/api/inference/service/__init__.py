"""Ask a model (infer.py) or try an extractor (trial.py); how files come in, what is kept, how much at once."""

from prismhouse.api.inference.service.cache import AnswerCache
from prismhouse.api.inference.service.extract import AsBatchesDo
from prismhouse.api.inference.service.infer import Inference
from prismhouse.api.inference.service.pool import Pool
from prismhouse.api.inference.service.room import Room
from prismhouse.api.inference.service.sources import Sources
from prismhouse.api.inference.service.trial import Samples, Trials
from prismhouse.api.inference.service.writing import THREADS as WRITING_THREADS
from prismhouse.api.inference.service.writing import Writers

__all__ = [
    "WRITING_THREADS",
    "AnswerCache",
    "AsBatchesDo",
    "Inference",
    "Pool",
    "Room",
    "Samples",
    "Sources",
    "Trials",
    "Writers",
]

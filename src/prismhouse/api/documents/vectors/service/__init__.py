"""What a user can do with vectors of his own. `upsert.py` writes documents, `promotion.py` hands them to models."""

from prismhouse.api.documents.vectors.service.promotion import Promotions
from prismhouse.api.documents.vectors.service.upsert import Upserts

__all__ = ["Promotions", "Upserts"]

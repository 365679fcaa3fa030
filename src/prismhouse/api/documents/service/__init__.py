"""What a user, and the pipeline, can do with documents. `documents.py` is the service, `lists.py` the long verb."""

from prismhouse.api.documents.service.documents import DocumentList, Documents
from prismhouse.api.documents.service.errors import DocumentElsewhere, DocumentNotFound

__all__ = ["DocumentElsewhere", "DocumentList", "DocumentNotFound", "Documents"]

"""Documents: what extraction made, flat fields with lineage. Read service/ next."""

from prismhouse.api.documents.model import NewDocument, StoredDocument

__all__ = ["NewDocument", "StoredDocument"]

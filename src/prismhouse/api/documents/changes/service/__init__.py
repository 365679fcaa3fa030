"""The verbs: create.py, one.py (merge, replace, share, delete), several.py (by id or filter), bulk.py (as a task)."""

from prismhouse.api.documents.changes.service.bulk import BulkChanges
from prismhouse.api.documents.changes.service.create import create
from prismhouse.api.documents.changes.service.one import DocumentChanges
from prismhouse.api.documents.changes.service.several import SeveralDocuments

__all__ = ["BulkChanges", "DocumentChanges", "SeveralDocuments", "create"]

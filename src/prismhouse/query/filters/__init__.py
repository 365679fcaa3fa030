"""One filter language: parse to a tree, compile to SQL, evaluate in Python. Start with `tree`, then `parse`."""

from prismhouse.query.filters.annotations import refuse_annotations
from prismhouse.query.filters.columns import (
    Columns,
    document_columns,
    object_columns,
    retriever_columns,
    task_columns,
    upload_columns,
)
from prismhouse.query.filters.evaluate import PatternTooSlow, matches, matching
from prismhouse.query.filters.guard import InvalidPattern, guarded
from prismhouse.query.filters.parse import MAX_DEPTH, parse
from prismhouse.query.filters.sql import is_indexed, to_sql
from prismhouse.query.filters.tree import EVERYTHING, And, Condition, Filter, Not, Operator, Or, fields_of

__all__ = [
    "EVERYTHING",
    "MAX_DEPTH",
    "And",
    "Columns",
    "Condition",
    "Filter",
    "InvalidPattern",
    "Not",
    "Operator",
    "Or",
    "PatternTooSlow",
    "document_columns",
    "fields_of",
    "guarded",
    "is_indexed",
    "matches",
    "matching",
    "object_columns",
    "parse",
    "refuse_annotations",
    "retriever_columns",
    "task_columns",
    "to_sql",
    "upload_columns",
]

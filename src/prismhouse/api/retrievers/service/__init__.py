"""What a user can do with retrievers. `retrievers.py` is the service; `compile.py` and `execute.py` run them."""

from prismhouse.api.retrievers.service.compile import Collections
from prismhouse.api.retrievers.service.errors import (
    EmptyChange,
    ExecutionNotFound,
    RetrieverNameTaken,
    RetrieverNotFound,
)
from prismhouse.api.retrievers.service.retrievers import RetrieverPage, Retrievers

__all__ = [
    "Collections",
    "EmptyChange",
    "ExecutionNotFound",
    "RetrieverNameTaken",
    "RetrieverNotFound",
    "RetrieverPage",
    "Retrievers",
]

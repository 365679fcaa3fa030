"""Grouped numbers over records of any noun: the request, and the one statement that answers it."""

from prismhouse.query.aggregate.request import Aggregation
from prismhouse.query.aggregate.statement import MAX_GROUPS, Bind, Groups, Records, aggregate

__all__ = ["MAX_GROUPS", "Aggregation", "Bind", "Groups", "Records", "aggregate"]

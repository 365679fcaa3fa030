"""Regular expressions inside SQL: stopped in time, and an error that names the condition."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import psycopg

from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.query.filters.evaluate import PatternTooSlow
from prismhouse.query.filters.patterns import PATTERN_SECONDS
from prismhouse.query.filters.tree import And, Condition, Filter, Not, Operator, Or
from prismhouse.storage.postgres.database import NamespaceReader

__all__ = ["InvalidPattern", "guarded"]


class InvalidPattern(WarehouseError):
    """The condition {condition} cannot be used: {reason}."""

    code = Code.INVALID
    hint = "Write the pattern in the syntax that PostgreSQL and Python share."


@asynccontextmanager
async def guarded(tx: NamespaceReader, filter_: Filter, *, seconds: float = PATTERN_SECONDS) -> AsyncIterator[None]:
    """Run statements with this filter inside; raise InvalidPattern or PatternTooSlow for its regular expressions.

    Without one, this costs nothing; with one, the statements stand in a transaction of their own.
    """
    conditions = list(_patterns(filter_))
    if not conditions:
        yield
        return
    named = " or ".join(f"`{condition.field} regex {condition.value}`" for condition in conditions[:3])
    try:
        async with tx.limited(seconds):
            yield
    except psycopg.errors.InvalidRegularExpression as error:
        raise InvalidPattern(condition=named, reason=str(error.diag.message_primary)) from error
    except psycopg.errors.QueryCanceled as error:
        raise PatternTooSlow(condition=named, seconds=seconds) from error


def _patterns(filter_: Filter) -> Iterator[Condition]:
    match filter_:
        case Condition(operator=Operator.REGEX):
            yield filter_
        case Not(part=part):
            yield from _patterns(part)
        case And(parts=parts) | Or(parts=parts):
            for part in parts:
                yield from _patterns(part)

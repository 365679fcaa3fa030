"""What can go wrong with retrievers."""

from __future__ import annotations

from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["EmptyChange", "ExecutionNotFound", "RetrieverNameTaken", "RetrieverNotFound", "TooManyQueries"]


class RetrieverNotFound(WarehouseError):
    """No retriever {id} in this namespace."""

    code = Code.NOT_FOUND
    hint = "List retrievers, or check the X-Namespace header."

    def __init__(self, identifier: str) -> None:
        super().__init__(resource="retriever", id=identifier)


class ExecutionNotFound(WarehouseError):
    """No execution {id} here."""

    code = Code.NOT_FOUND
    hint = "List executions; those of a deleted retriever are gone with it."

    def __init__(self, identifier: str) -> None:
        super().__init__(resource="execution", id=identifier)


class RetrieverNameTaken(WarehouseError):
    """A retriever named {retriever_name} exists already."""

    code = Code.ALREADY_EXISTS
    wire_code = "retriever_name_taken"
    hint = "Choose another name, or change that retriever."


class TooManyQueries(WarehouseError):
    """{given} queries were sent; {most} at most run together."""

    code = Code.INVALID
    hint = "Send the rest in another call."

    def __init__(self, *, given: int, most: int) -> None:
        super().__init__(given=given, most=most, limits={"max_queries": most})


class EmptyChange(WarehouseError):
    """The change is empty."""

    code = Code.BAD_REQUEST
    hint = "Send at least one field to change."

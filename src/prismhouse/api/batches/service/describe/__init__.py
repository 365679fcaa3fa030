"""A batch as it is answered: its state in words and numbers, made from the ledger. Read `answer` for the whole."""

from prismhouse.api.batches.service.describe.answer import answers

__all__ = ["answers"]

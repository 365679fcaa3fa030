"""What can be done with batches. Read `batches` for the verbs, `run` for what workers do with a chunk."""

from prismhouse.api.batches.service.batches import Batches

__all__ = ["Batches"]

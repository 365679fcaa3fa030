"""Whether collections can run: their extractor and models are here, and are those that made their vectors.

Held against what is there at submission, as a tier starts and as a chunk runs: a batch takes hours, and servers are
restarted meanwhile with other files of models.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from prismhouse.api.batches.service.parts import Parts
from prismhouse.engine.inference.lent import LentModel, lending
from prismhouse.engine.inference.registry import all_models, check_installed, check_unchanged
from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.storage.postgres import vectors
from prismhouse.storage.postgres.database import NamespaceReader
from prismhouse.storage.postgres.vectors import VectorIndex

__all__ = ["ModelGone", "check_able", "check_all_able", "indexes_of", "lent_to"]


class ModelGone(WarehouseError):
    """The collection {collection_id} cannot run any more: {reason}"""

    code = Code.INFERENCE_UNAVAILABLE
    hint = "Bring it back, or disable the collection; then submit the batch again."
    wire_code = "model_missing"


async def check_all_able(parts: Parts, tx: NamespaceReader, collections: Iterable[Any]) -> None:
    """Raise as `check_able` does, for the first collection that cannot run."""
    for one in collections:
        check_able(parts, one, lent=await lent_to(parts, tx, one), indexes=await indexes_of(tx, one))


def check_able(parts: Parts, collection: Any, *, lent: Sequence[LentModel], indexes: Iterable[VectorIndex]) -> None:
    """Raise where a collection cannot run.

    Raises:
        ModelGone: its extractor, or a model that it needs, is not here any more.
        ModelChanged: a model of the file of models is not what made its vectors.
        ModelFileGone, ModelFileChanged: the files of such a model are not what they were.
    """
    try:
        with lending(lent):
            parts.catalogue.check(collection.extractor_id, collection.parameters)
    except WarehouseError as error:
        raise ModelGone(collection_id=collection.collection_id, reason=error.message) from error
    for index in indexes:
        check_unchanged(index.model, index.model_fingerprint, feature_uri=index.feature_uri)
        if index.model_fingerprint and index.model in all_models():
            check_installed(index.model)


async def indexes_of(tx: NamespaceReader, collection: Any) -> list[VectorIndex]:
    """Return where the vectors of a collection stand."""
    uris = {str(index["feature_uri"]) for index in collection.vector_indexes}
    return list((await vectors.load(tx, sorted(uris))).values()) if uris else []


async def lent_to(parts: Parts, tx: NamespaceReader, collection: Any) -> Sequence[LentModel]:
    """Return the users' model that a collection names, if it names one that is here."""
    return await parts.models.named(tx, collection.parameters) if parts.models else ()

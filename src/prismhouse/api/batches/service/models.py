"""Which models made the vectors that a collection holds: what is not the same model may not add to them."""

from __future__ import annotations

from collections.abc import Iterable

from prismhouse.api.collections.model import CollectionRow
from prismhouse.engine.inference.registry import all_models, check_installed, check_unchanged
from prismhouse.storage.postgres import vectors
from prismhouse.storage.postgres.database import NamespaceReader
from prismhouse.storage.postgres.vectors import VectorIndex

__all__ = ["check_models", "indexes_of"]


async def indexes_of(tx: NamespaceReader, collections: Iterable[CollectionRow]) -> list[VectorIndex]:
    """Return where the vectors of some collections stand."""
    uris = {str(index["feature_uri"]) for row in collections for index in row.vector_indexes}
    return list((await vectors.load(tx, sorted(uris))).values()) if uris else []


def check_models(indexes: Iterable[VectorIndex]) -> None:
    """Raise ModelChanged or ModelNotFound where a model of the file of models is not what it was, or is gone.

    Raises ModelFileGone or ModelFileChanged where its files are.
    """
    for index in indexes:
        check_unchanged(index.model, index.model_fingerprint, feature_uri=index.feature_uri)
        if index.model_fingerprint and index.model in all_models():
            check_installed(index.model)

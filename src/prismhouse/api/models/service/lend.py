"""Models of a namespace for those that work in it: found by what parameters name, with the archive at hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from prismhouse.api.archives.service import Archives
from prismhouse.api.models import store
from prismhouse.api.models.errors import ModelBusy, ModelLost, ModelNotFound
from prismhouse.engine.extractors.port import FloatArray
from prismhouse.engine.inference.archive import ArchiveLimits
from prismhouse.engine.inference.lent import LentModel
from prismhouse.engine.inference.query import ModalityNotServed
from prismhouse.engine.inference.registry import all_models, is_remote
from prismhouse.engine.inference.uploaded import FOLDER
from prismhouse.kit.errors import Invalid, field_fault
from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.compute.port import Compute, WorkerLost
from prismhouse.storage.postgres.database import Database, NamespaceReader, Record

__all__ = ["EMBED_QUERIES", "PREFIX", "Lender", "QueryEmbedders"]

PREFIX = "mdl_"
"""What ids of users' models begin with, and no name of another model does."""

_PARAMETERS = ("embedding_model", "model")
_WHERE = ["body", "feature_extractor", "parameters", "embedding_model"]
EMBED_QUERIES = "prismhouse.engine.inference.uploaded:embed_queries"
_PREPARE = "prismhouse.engine.inference.uploaded:prepare"
_PATIENCE_SECONDS = 1.0


class Lender:
    """Finds a namespace's models.

    `unpacked_at` is where the compute processes of this machine keep them unpacked; None where other machines compute:
    these are given the archive with each call.
    """

    def __init__(
        self,
        db: Database,
        *,
        archives: Archives,
        compute: Compute,
        limits: ArchiveLimits,
        unpacked_at: Path | None = None,
    ) -> None:
        self._db = db
        self._compute = compute
        self._archives = archives
        self._limits = limits
        self._unpacked_at = unpacked_at

    async def resolve(
        self, tx: NamespaceReader, parameters: Mapping[str, Any]
    ) -> tuple[Mapping[str, Any], Sequence[LentModel]]:
        """Return parameters that name a model of the namespace by its id, and the models that may be named.

        In parameters a model stands by its id, its name, or `name@version`. What is returned stays until `tx` ends.
        Raises Invalid for one that is here and not deployed.
        """
        key = next((key for key in _PARAMETERS if isinstance(parameters.get(key), str)), None)
        if key is None or parameters[key] in all_models():
            return parameters, ()
        rows = await store.known_in_namespace(tx, hold=True)
        deployed = [self._lent(row) for row in rows if row["status"] == "deployed"]
        named = [row for row in rows if parameters[key] in _names(row)]
        found = next((row for row in named if row["status"] == "deployed"), None)
        if found is None and named:
            reason = f" ({named[0]['message']})" if named[0]["message"] else ""
            message = (
                f"The model {parameters[key]!r} is {named[0]['status']} in this namespace{reason}."
                f" POST /v1/namespaces/{tx.namespace_id}/models/{named[0]['model_id']}/deploy first."
            )
            raise Invalid([field_fault(_WHERE, message, "model_not_deployed")])
        return (parameters if found is None else {**parameters, key: found["model_id"]}), deployed

    async def resolved(
        self, namespace_id: NamespaceId, parameters: Mapping[str, Any]
    ) -> tuple[Mapping[str, Any], Sequence[LentModel]]:
        """Return what `resolve` does, for who is about to use a model once and stores nothing."""
        if all(not isinstance(parameters.get(key), str) or parameters[key] in all_models() for key in _PARAMETERS):
            return parameters, ()
        async with self._db.write() as unit:
            return await self.resolve(unit.within(namespace_id), parameters)

    async def named(self, tx: NamespaceReader, parameters: Mapping[str, Any]) -> Sequence[LentModel]:
        """Return the users' model that stored parameters name, if they name one."""
        name = parameters.get("embedding_model")
        if not isinstance(name, str) or not name.startswith(PREFIX):
            return ()
        row = await store.find_in_namespace(tx, name)
        return () if row is None else (self._lent(row),)

    @asynccontextmanager
    async def held(
        self, namespace_id: NamespaceId, parameters: Mapping[str, Any]
    ) -> AsyncIterator[Sequence[LentModel]]:
        """Give the users' model that stored parameters name, ready to be loaded; raise ModelNotFound."""
        name = parameters.get("embedding_model")
        if not isinstance(name, str) or not name.startswith(PREFIX):
            yield ()
            return
        async with self._db.read() as tx:
            row = await store.find_in_namespace(tx.within(namespace_id), name)
        if row is None:
            raise ModelNotFound(name)
        async with self.ready(row) as lent:
            yield (lent,)

    @asynccontextmanager
    async def model(self, tx: NamespaceReader, model_id: str) -> AsyncIterator[LentModel]:
        """Give a model of the namespace, ready to be loaded; raise ModelNotFound."""
        row = await store.find_in_namespace(tx, model_id)
        if row is None:
            raise ModelNotFound(model_id)
        async with self.ready(row) as lent:
            yield lent

    @asynccontextmanager
    async def ready(self, row: Record) -> AsyncIterator[LentModel]:
        """Give a model that can be loaded: unpacked on this machine, or with its archive where others compute.

        A copy of a remote archive is held only while it is unpacked, so that who holds one never waits for another.
        Raises ArchiveRefused, ArchiveGone, ModelLost.
        """
        lent = self._lent(row)
        archive = self._archives.held(row["organization_id"], row["sha256"], row["size_bytes"])
        if self._unpacked_at is None:
            async with archive as path:
                yield replace(lent, archive=path)
            return
        if not await asyncio.to_thread((self._unpacked_at / FOLDER / lent.sha256).is_dir):
            async with archive as path:
                with_archive = replace(lent, archive=path)
                with _telling(lent.title):
                    await self._compute.run(_PREPARE, with_archive, str(self._unpacked_at.absolute()), group=lent.name)
        yield lent

    def _lent(self, row: Record) -> LentModel:
        return LentModel(
            name=row["model_id"],
            title=f"{row['name']} {row['version']}",
            dimensions=row["dimensions"],
            sha256=row["sha256"],
            limits=self._limits,
        )


@contextmanager
def _telling(model: str) -> Iterator[None]:
    """Raise ModelLost for what compute says of rows: who asks for a model's vectors has none."""
    try:
        yield
    except (WorkerLost, MemoryError) as error:
        raise ModelLost(model=model) from error


def _names(row: Record) -> tuple[str, ...]:
    return (row["model_id"], row["name"], f"{row['name']}@{row['version']}")


class QueryEmbedders:
    """Embeds queries with the models that all know, and with a namespace's own: these run in a compute process.

    A search holds a connection to the database while it is embedded. So of those whose model may take long, one that
    runs elsewhere or a namespace's own, only `slow_at_once` wait for it at a time: others keep the rest.
    """

    def __init__(self, lender: Lender, *, compute: Compute, threads: int, cache_dir: str, slow_at_once: int) -> None:
        self._lender = lender
        self._slow = asyncio.Semaphore(slow_at_once)
        self._compute = compute
        self._threads = threads
        self._cache_dir = cache_dir

    def within(self, tx: NamespaceReader, common: Any) -> _NamespaceEmbedder:
        """Return what embeds the queries of a namespace; `common` does so for the models that all know."""
        return _NamespaceEmbedder(self, tx, common)

    async def embed(self, tx: NamespaceReader, model: str, texts: Sequence[str]) -> FloatArray:
        """Return `(n, d)` float32, rows of unit length, made by a model of the namespace.

        Raises ModelNotFound or ModelLost.
        """
        async with self._lender.model(tx, model) as lent:
            with _telling(lent.title):
                vectors: FloatArray = await self._compute.run(
                    EMBED_QUERIES, lent, list(texts), self._threads, self._cache_dir, group=model
                )
        return vectors

    @asynccontextmanager
    async def place(self, model: str) -> AsyncIterator[None]:
        """Hold one of the places of slow models until the end of the block; raise ModelBusy when none gets free."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._slow.acquire()
        except TimeoutError as error:
            raise ModelBusy(model=model) from error
        try:
            yield
        finally:
            self._slow.release()


class _NamespaceEmbedder:
    def __init__(self, own: QueryEmbedders, tx: NamespaceReader, common: Any) -> None:
        self._own = own
        self._tx = tx
        self._common = common

    async def embed(self, model: str, texts: Sequence[str]) -> FloatArray:
        """Return `(n, d)` float32, rows of unit length, in the order of the texts."""
        if model.startswith(PREFIX):
            async with self._own.place(model):
                return await self._own.embed(self._tx, model, texts)
        if is_remote(model):
            async with self._own.place(model):
                return await self._embed(model, texts)
        return await self._embed(model, texts)

    async def _embed(self, model: str, texts: Sequence[str]) -> FloatArray:
        vectors: FloatArray = await self._common.embed(model, texts)
        return vectors

    def check_unchanged(self, model: str, fingerprint: str, *, feature_uri: str) -> None:
        """Raise ModelChanged for a model of the file of models that is another by now."""
        self._common.check_unchanged(model, fingerprint, feature_uri=feature_uri)

    async def embed_image(self, model: str, data: bytes) -> FloatArray:
        """Return `(d,)` float32 of unit length."""
        if model.startswith(PREFIX):
            raise ModalityNotServed(model=model, modality="image", accepted="text")
        vector: FloatArray = await self._common.embed_image(model, data)
        return vector

"""The adapters this version has, chosen by the settings. Part of the composition root: nobody else asks."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from prismhouse.engine.inference.configured import NO_MODELS, ConfiguredModels, read_models
from prismhouse.engine.inference.registry import use_models
from prismhouse.engine.inference.session import providers
from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.server.address import base_url
from prismhouse.server.files import LocalFiles
from prismhouse.settings import Settings
from prismhouse.storage.blobs.local import LocalBlobStore
from prismhouse.storage.blobs.local_links import LocalBlobLinks
from prismhouse.storage.blobs.local_staging import LocalStaging
from prismhouse.storage.blobs.port import BlobStore
from prismhouse.storage.blobs.s3 import Bucket, S3BlobStore, S3Links, S3Staging, place_of
from prismhouse.storage.blobs.signing import Signer
from prismhouse.storage.blobs.signing_keys import SigningKeys
from prismhouse.storage.blobs.staging import BlobLinks, Staging
from prismhouse.storage.compute.local import LocalCompute
from prismhouse.storage.compute.port import Compute
from prismhouse.storage.compute.ray import RayCompute, check_address
from prismhouse.storage.sealing import Sealer
from prismhouse.telemetry import traces

__all__ = [
    "AdapterNotBuilt",
    "BucketSigns",
    "DatabaseURLMalformed",
    "ExtraMissing",
    "Files",
    "check_adapters",
    "chunks_in_flight",
    "compute",
    "concurrency",
    "files",
    "gatherers",
    "inference",
    "models",
    "processes",
    "sealer",
    "signing_keys",
]

_CRAWL_MEMORY_BYTES = 4 * 2**30
_LEAST_JOBS = 4


class AdapterNotBuilt(WarehouseError):
    """{variable} asks for {wanted}, which is not built yet."""

    code = Code.NOT_IMPLEMENTED
    hint = "Accepted now: {accepted}."


class ExtraMissing(WarehouseError):
    """{variable} asks for {wanted}, which needs the package {package}; it is not installed."""

    code = Code.NOT_IMPLEMENTED
    hint = "Install it with: pip install 'prismhouse[{extra}]'"


class BucketSigns(WarehouseError):
    """Files are in a bucket: the access key of the bucket signs URLs, and there are no other keys to rotate."""

    code = Code.BAD_REQUEST
    hint = "Make a new access key where the bucket is, and set it as PRISMHOUSE_BLOBS__ACCESS_KEY_ID and its secret."


class DatabaseURLMalformed(WarehouseError):
    """PRISMHOUSE_DATABASE__URL is not the address of a PostgreSQL database."""

    code = Code.BAD_REQUEST
    hint = "Write postgresql://user:password@host:5432/database, or host=... user=... dbname=..."


def check_adapters(settings: Settings) -> None:
    """Raise for a choice that this version or installation does not have, before anything starts."""
    _check_files(settings)
    sealer(settings)
    use_models(models(settings))
    if settings.inference.device == "cuda" and settings.compute.kind == "local":
        providers("cuda")
    if settings.database.url is not None:
        _check_database_url(settings.database.url.get_secret_value())
    if settings.tracing.endpoint is not None and not traces.is_installed():
        raise ExtraMissing(
            variable="PRISMHOUSE_TRACING__ENDPOINT", wanted="traces", package="opentelemetry-sdk", extra="otel"
        )
    if settings.compute.kind == "ray":
        check_address(settings.compute.ray_address)
        if find_spec("ray") is None:
            raise ExtraMissing(variable="PRISMHOUSE_COMPUTE__KIND", wanted="`ray`", package="ray", extra="ray")


def _check_database_url(url: str) -> None:
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise DatabaseURLMalformed from error


def signing_keys(settings: Settings) -> SigningKeys:
    """Return the keys that sign URLs of files on disk: they lie with the files, for all machines that share these.

    Raises BucketSigns.
    """
    if _scheme(settings) == "s3":
        raise BucketSigns
    return SigningKeys(_blob_folder(settings) / "signing-keys.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Where bytes are kept, and how clients reach them. `local` answers signed URLs where no object storage does."""

    blobs: BlobStore
    staging: Staging
    links: BlobLinks
    local: LocalFiles | None


def files(settings: Settings) -> Files:
    """Return where bytes are kept; raise what `check_adapters` does."""
    _check_files(settings)
    if _scheme(settings) == "s3":
        return _bucket(settings)
    blobs = LocalBlobStore(_blob_folder(settings))
    signer = Signer(signing_keys(settings))
    staging = LocalStaging(blobs, signer=signer, base_url=base_url(settings))
    return Files(
        blobs=blobs,
        staging=staging,
        links=LocalBlobLinks(signer=signer, base_url=base_url(settings)),
        local=LocalFiles(staging=staging, blobs=blobs, signer=signer),
    )


def _check_files(settings: Settings) -> None:
    """Raise AdapterNotBuilt, PlaceMalformed or ExtraMissing; nothing is connected."""
    if _scheme(settings) != "s3":
        _blob_folder(settings)
        return
    place_of(settings.blobs, os.environ)
    if find_spec("obstore") is None:
        raise ExtraMissing(variable="PRISMHOUSE_BLOBS__URL", wanted="`s3` storage", package="obstore", extra="s3")


def sealer(settings: Settings) -> Sealer:
    """Return what encrypts stored secrets; raise SealingKeyMalformed."""
    key = settings.webhooks.secrets_key
    return Sealer(settings.data_dir / "secrets-key", key=None if key is None else key.get_secret_value())


def models(settings: Settings) -> ConfiguredModels:
    """Return the models that the file of models adds; raise ModelsFileWrong."""
    path = settings.inference.models_file
    if path is None:
        path = settings.data_dir / "models.toml"
        if not path.exists():
            return replace(NO_MODELS, device=settings.inference.device)
    return replace(read_models(path), device=settings.inference.device)


def _scheme(settings: Settings) -> str:
    return urlsplit(settings.blobs.url).scheme if settings.blobs.url else "file"


def _bucket(settings: Settings) -> Files:
    bucket = Bucket(place_of(settings.blobs, os.environ))
    blobs = S3BlobStore(bucket)
    links = S3Links(bucket, blobs=blobs)
    return Files(blobs=blobs, staging=S3Staging(bucket, blobs=blobs, links=links), links=links, local=None)


def _blob_folder(settings: Settings) -> Path:
    url = settings.blobs.url
    if url is None:
        return settings.data_dir / "blobs"
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"}:
        wanted = f"`{parts.scheme}` storage" if parts.scheme else "storage without a scheme"
        raise AdapterNotBuilt(
            variable="PRISMHOUSE_BLOBS__URL", wanted=wanted, accepted="`file:///folder` and `s3://bucket/prefix`"
        )
    return Path(unquote(parts.path))


def compute(settings: Settings) -> Compute:
    """Return where extraction runs; raise what `check_adapters` does."""
    check_adapters(settings)
    given = settings.compute
    if given.kind == "local":
        return LocalCompute(
            processes(settings),
            call_timeout_seconds=given.call_timeout_seconds,
            memory_bytes=given.process_memory_bytes,
        )
    return RayCompute(
        given.ray_address,
        processes=processes(settings),
        call_timeout_seconds=given.call_timeout_seconds,
        patience_seconds=given.ray_patience_seconds,
        message_bytes=given.ray_message_bytes,
        file_bytes=given.ray_file_bytes,
        object_store_bytes=given.ray_object_store_bytes,
        memory_bytes=given.process_memory_bytes,
    )


def inference(settings: Settings) -> Compute:
    """Return where raw inference runs what must not hold up queries: always here, beside the API process that asks."""
    return LocalCompute(
        settings.inference.processes,
        call_timeout_seconds=settings.inference.call_timeout_seconds,
        idle_seconds=settings.inference.idle_seconds,
        memory_bytes=settings.compute.process_memory_bytes,
    )


def gatherers(settings: Settings) -> Compute:
    """Return where crawls run: on this machine in any case, whose rules for outgoing requests they keep.

    Their memory has a limit even where that of extraction has none: they read what strangers wrote, and load no model.
    """
    return LocalCompute(settings.web.crawls, memory_bytes=settings.compute.process_memory_bytes or _CRAWL_MEMORY_BYTES)


def processes(settings: Settings) -> int:
    """Return how many extraction processes one worker process may have."""
    return settings.compute.processes or max(1, (os.cpu_count() or 1) // settings.worker.processes)


def concurrency(settings: Settings) -> int:
    """Return how many jobs a worker runs at once: while one computes, another one reads or writes."""
    return settings.worker.concurrency or max(_LEAST_JOBS, 2 * processes(settings))


def chunks_in_flight(settings: Settings) -> int:
    """Return how many jobs of one batch are queued at a time: what keeps all extraction processes busy."""
    return settings.worker.chunks_in_flight or max(_LEAST_JOBS, 2 * processes(settings) * settings.worker.processes)

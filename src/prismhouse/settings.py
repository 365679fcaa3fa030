"""One tree of settings. Passed to whoever needs a part of it, never read as a global.

Order of precedence: command-line flags, then `PRISMHOUSE_` environment variables (double underscore for
nesting), then a TOML file named by `PRISMHOUSE_CONFIG_FILE`, then the defaults below.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

__all__ = [
    "BlobSettings",
    "ComputeSettings",
    "DatabaseSettings",
    "InferenceSettings",
    "LimitSettings",
    "LogSettings",
    "MediaSettings",
    "MetricsSettings",
    "OutboundSettings",
    "ServerSettings",
    "Settings",
    "TracingSettings",
    "WebSettings",
    "WebhookSettings",
    "WorkerSettings",
]


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerSettings(_Group):
    host: str = Field("127.0.0.1", description="Address to listen on. 0.0.0.0 opens it to the network.")
    port: int = Field(8080, ge=0, le=65535, description="TCP port to listen on.")
    trusted_proxies: tuple[str, ...] = Field(
        (),
        description="Addresses or networks (CIDR) of proxies whose X-Forwarded-For is believed. None by default.",
    )
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^/?#@\s]+(/[^?#\s]*)?$",
        description="Address by which clients reach the server, for signed URLs: `https://house.example`, with a path "
        "where a proxy adds one. Unset: the address that the request was sent to.",
    )
    api_processes: int = Field(1, ge=1, le=64, description="Number of API processes.")
    shutdown_timeout_seconds: float = Field(
        15, gt=0, description="How long a stop waits for running requests and jobs."
    )


class DatabaseSettings(_Group):
    url: SecretStr | None = Field(None, description="PostgreSQL URL. Unset: an embedded server in the data folder.")
    pool_size: int = Field(
        10, ge=2, le=500, description="Connections a process may hold for writes, and again for reads."
    )
    connect_timeout_seconds: float = Field(10, gt=0, description="How long to wait for a connection.")
    statement_timeout_seconds: float = Field(60, gt=0, description="Longest a statement of a request may run.")
    shared_buffers_mb: int | None = Field(
        None, ge=16, description="Embedded server only. Unset: a quarter of memory, at most 1024."
    )


class BlobSettings(_Group):
    url: str | None = Field(
        None, description="`file:///folder` or `s3://bucket/prefix`. Unset: `blobs` in the data folder."
    )
    endpoint: str | None = Field(
        None,
        description="URL of an S3-compatible server. Unset: `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, or Amazon's.",
    )
    public_endpoint: str | None = Field(
        None, description="The same server as clients reach it, for signed URLs. Unset: as `endpoint`."
    )
    region: str | None = Field(
        None, description="Region of the bucket. Unset: `AWS_REGION`, `AWS_DEFAULT_REGION`, or `us-east-1`."
    )
    path_style: bool | None = Field(
        None,
        description="Whether the bucket stands in the path of URLs, not in the host. Unset: with an endpoint only.",
    )
    access_key_id: str | None = Field(
        None, description="S3 access key. Unset: `AWS_ACCESS_KEY_ID`, or the keys of the machine or container."
    )
    secret_access_key: SecretStr | None = Field(None, description="The secret half of the access key.")
    session_token: SecretStr | None = Field(None, description="Session token, for temporary access keys.")
    timeout_seconds: float = Field(30, gt=0, description="Longest a request to object storage may take.")
    copies_bytes: int = Field(
        8 * 2**30, ge=2**20, description="Disk that a worker may use for copies of remote files while it extracts."
    )


class ComputeSettings(_Group):
    kind: Literal["local", "ray"] = Field(
        "local", description="Where extractors run: in processes of this machine, or on a Ray cluster (docs/ray.md)."
    )
    processes: int | None = Field(
        None,
        ge=1,
        le=256,
        description="Processes for extraction of one worker. Unset: one per core of this machine, on Ray too.",
    )
    call_timeout_seconds: float = Field(
        600, gt=0, description="Longest one extraction call may run before it is killed."
    )
    process_memory_bytes: int | None = Field(
        None,
        ge=2**26,
        description="Memory that an extraction process may take. Unset: what the machine has; 4 GiB for crawls.",
    )
    ray_address: str | None = Field(
        None,
        description="Head of the Ray cluster as `host:port`, or `auto` for the one that this machine is a node of. "
        "Unset: each worker starts one of its own on this machine.",
    )
    ray_patience_seconds: float = Field(
        600, ge=0, description="How long an extraction call waits for a Ray cluster that does not answer."
    )
    ray_message_bytes: int = Field(
        512 * 2**20, ge=2**20, description="Largest arguments, and largest result, of an extraction call on Ray."
    )
    ray_file_bytes: int = Field(
        8 * 2**30,
        ge=2**20,
        description="Most bytes of files that one call sends to a Ray node without access to them; kept in its "
        "temporary folder while the call runs.",
    )
    ray_object_store_bytes: int = Field(
        2**30, ge=80 * 2**20, description="Shared memory of Ray, where a worker starts it. A cluster has its own."
    )


class InferenceSettings(_Group):
    threads: int | None = Field(
        None, ge=1, description="Threads per model session in extraction. Unset: cores / processes."
    )
    cache_dir: Path | None = Field(
        None, description="Where converted models are kept. Unset: `models` in the data folder."
    )
    processes: int = Field(
        1,
        ge=1,
        le=16,
        description="Processes of an API process for raw inference on files (speech, writing, layouts, faces, sounds) "
        "and tests of extractors. Started at the first such call.",
    )
    idle_seconds: float = Field(
        120, gt=0, description="Such a process that had nothing to do for this long is ended, and its memory freed."
    )
    call_timeout_seconds: float = Field(
        120, gt=0, description="Longest a raw inference, or a test of an extractor, may run before it is killed."
    )
    warm_seconds: float = Field(
        10,
        gt=0,
        description="How long a raw inference waits for its model to be loaded before it is told to come back.",
    )
    file_bytes: int = Field(
        64 * 2**20, ge=1024, description="Largest file that a raw inference or a test of an extractor fetches."
    )
    texts: int = Field(1000, ge=1, description="Most texts in one raw inference.")
    calls: int = Field(
        256, ge=2, description="Raw inferences that an API process takes on at once; a namespace may have half of them."
    )
    held_bytes: int = Field(
        256 * 2**20, ge=2**20, description="Most bytes of texts and files that those hold in memory together."
    )
    cache_bytes: int = Field(
        32 * 2**20, ge=0, description="Memory of an API process for answers kept by `enable_semantic_cache`."
    )
    cache_seconds: float = Field(3600, gt=0, description="How long such an answer is kept.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where models run. auto: on a GPU that onnxruntime offers, else on the CPU."
    )
    models_file: Path | None = Field(
        None,
        description="TOML file of further models (docs/models.md). Unset: `models.toml` in the data folder, if it is "
        "there.",
    )


class WorkerSettings(_Group):
    processes: int = Field(1, ge=1, le=64, description="Worker processes started by `serve`.")
    concurrency: int | None = Field(
        None, ge=1, le=256, description="Jobs a worker process runs at once. Unset: two per extraction process."
    )
    chunk_rows: int = Field(128, ge=1, le=5000, description="Most rows of a batch in one job.")
    chunk_seconds: float = Field(5, gt=0, description="Computing time that a job of a batch is cut for.")
    chunk_bytes: int = Field(
        64 * 2**20, ge=1, description="Most bytes of sources in one job; a larger source is alone in its own."
    )
    chunk_documents: int = Field(
        5000, ge=1, description="Documents after which a job writes what it has, and leaves its other rows to another."
    )
    call_seconds: float = Field(
        0.25, gt=0, description="Computing time after which a job lets others have the extraction process."
    )
    chunks_in_flight: int | None = Field(
        None, ge=1, le=1000, description="Jobs of one batch queued at a time. Unset: two per extraction process."
    )
    max_attempts: int = Field(
        3, ge=1, le=20, description="Attempts for a row or chunk that failed for a passing reason."
    )
    retry_seconds: float = Field(
        2, gt=0, description="Pause before such a row's second attempt; four times as long before each later one."
    )
    draft_minutes: float | None = Field(
        None, gt=0, description="A draft that nobody touches for so many minutes is cancelled. Unset: drafts stay."
    )
    stalled_after_seconds: float = Field(
        15, ge=1, description="A job whose worker is silent for this long is taken over."
    )


class LimitSettings(_Group):
    body_bytes: int = Field(32 * 2**20, ge=1024, description="Largest request body.")
    inline_blob_bytes: int = Field(10 * 2**20, ge=1024, description="Largest blob given inline as base64 or text.")
    blob_bytes: int = Field(5 * 2**30, ge=1024, description="Largest stored file.")
    model_bytes: int = Field(5 * 2**30, ge=1024, description="Largest archive of a model that is uploaded.")
    model_unpacked_bytes: int = Field(20 * 2**30, ge=1024, description="Largest that such an archive may unpack to.")
    form_bytes: int = Field(
        20 * 2**30,
        ge=1024,
        description="Most disk that forms with such archives take together while an API process receives them; one "
        "organization may take half of it. A single form always fits.",
    )
    models: int = Field(50, ge=0, description="Most models that one organization keeps.")
    custom_extractors: int = Field(
        0,
        ge=0,
        description="Most extractors that an organization may send in as code, for you to look at and install.",
    )
    sync_confirm_bytes: int = Field(
        100 * 2**20, ge=1, description="Uploaded files of this size and more are confirmed by a background task."
    )
    row_documents: int = Field(
        100_000, ge=1, description="Most documents that one row may give; one that gives more fails."
    )
    batch_objects: int = Field(50_000, ge=1, description="Most objects in a batch.")
    image_pixels: int = Field(100_000_000, ge=1, description="Largest image that is decoded, in pixels.")
    event_streams: int = Field(
        200, ge=1, description="Most event streams an API process holds open; one organization may hold half of them."
    )
    filter_depth: int = Field(10, ge=1, le=100, description="Deepest nesting of a filter.")
    cursor_seconds: float = Field(
        7 * 86_400, gt=0, description="How long a cursor of a list of documents is good for after it was given out."
    )


class MediaSettings(_Group):
    seconds: float = Field(4 * 3600, gt=0, description="Longest video or sound that is read.")
    pixels: int = Field(8192 * 4320, ge=1, description="Largest frame of a video that is decoded, in pixels.")
    frames: int = Field(1_000_000, ge=1, description="Most frames of a video that are decoded.")
    segments: int = Field(5_000, ge=1, description="Most segments, each a document, that one file becomes.")
    ocr_frames: int = Field(
        300, ge=1, description="Most pictures of one video in which writing is read; each takes about half a second."
    )
    ocr_segment_frames: int = Field(
        3, ge=1, le=60, description="Most pictures of one segment of a video in which writing is read."
    )
    scroll_width: int = Field(
        100_000, ge=1000, description="Longest strip of moving writing of one video that is read, in pixels of width."
    )
    streams: int = Field(64, ge=1, description="Most streams (pictures, sounds, subtitles) in one file.")
    pdf_bytes: int = Field(512 * 2**20, ge=1024, description="Largest PDF that is opened.")
    pdf_pages: int = Field(
        1_000, ge=1, description="Most pages of a PDF that are read; the others are counted and told."
    )
    pdf_blocks: int = Field(
        20_000, ge=1, description="Most blocks of a PDF, each a document; that there are more is told."
    )
    pdf_pixels: int = Field(25_000_000, ge=10_000, description="Largest picture that a page of a PDF is drawn as.")
    pdf_seconds: float = Field(600, gt=0, description="Longest that reading and drawing one PDF may take.")
    archive_bytes: int = Field(100 * 2**20, ge=1024, description="Largest archive of source code that is opened.")
    archive_files: int = Field(5_000, ge=1, description="Most files in such an archive.")
    archive_unpacked_bytes: int = Field(
        512 * 2**20, ge=1024, description="Most bytes that the files of an archive may be unpacked to, all together."
    )
    archive_file_bytes: int = Field(
        2**20, ge=1024, description="Largest file of an archive that is read; larger ones are left out and told."
    )
    cut_seconds: float = Field(300, gt=0, description="Longest that cutting a scene may take.")
    clip_seconds: float = Field(3600, gt=0, description="Longest scene that is cut.")
    clip_bytes: int = Field(256 * 2**20, ge=1024, description="Largest file that a scene may become.")
    encoder: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="FFmpeg's encoder for scenes. Unset: the first of `libx264`, `libopenh264`, `libvpx-vp9` and "
        "`mpeg4` that there is. `libx264` is under the GPL; the others are not.",
    )


class OutboundSettings(_Group):
    allow_networks: tuple[str, ...] = Field(
        (), description="Private networks that fetches may reach, as CIDR. None by default."
    )
    allow_ports: tuple[int, ...] = Field((80, 443), description="Ports that fetches may use. Empty: any.")
    timeout_seconds: float = Field(30, gt=0, description="Longest a whole fetch may take.")
    connect_timeout_seconds: float = Field(5, gt=0, description="Longest a connection attempt may take.")
    max_redirects: int = Field(3, ge=0, le=20, description="Redirects followed, each checked as the first address was.")
    max_bytes: int = Field(512 * 2**20, ge=1024, description="Largest answer, counted after decompression.")


class WebSettings(_Group):
    crawls: int = Field(
        4, ge=1, le=64, description="Crawls that a worker runs at once, each in a process that only fetches and parses."
    )
    connections: int = Field(
        2,
        ge=1,
        le=16,
        description="Requests that one crawl sends at once. One, where a pause between them is asked for.",
    )
    page_bytes: int = Field(8 * 2**20, ge=1024, description="Largest page that is read, counted after decompression.")
    crawl_bytes: int = Field(64 * 2**20, ge=1024, description="Most text and pictures that one crawl brings home.")
    image_bytes: int = Field(10 * 2**20, ge=1024, description="Largest picture of a page that is fetched.")
    images_per_page: int = Field(8, ge=0, le=100, description="Most pictures of one page that are looked at.")
    images: int = Field(200, ge=0, le=10_000, description="Most pictures of one crawl that are looked at.")
    pause_seconds: float = Field(
        30, ge=0, le=3600, description="Longest pause between requests that a site's robots.txt is granted."
    )


class WebhookSettings(_Group):
    allow_http: bool = Field(
        False, description="Whether webhooks may use plain http, which anybody on the way can read."
    )
    secrets_key: SecretStr | None = Field(
        None,
        description="Key that encrypts stored secrets: 32 bytes in base64, the same for all machines of one database. "
        "Unset: `secrets-key` in the data folder, made at the first use.",
    )
    max_attempts: int = Field(
        12, ge=1, le=100, description="Attempts for an event before it is given up and can be delivered again by hand."
    )
    first_retry_seconds: float = Field(
        10, gt=0, description="Pause after a first failed attempt; it doubles with each further one."
    )
    longest_retry_seconds: float = Field(3600, gt=0, description="Longest pause between two attempts.")
    pause_after: int = Field(
        20, ge=1, description="A webhook that gave up so many events in a row is paused until it is made active again."
    )
    concurrency: int = Field(32, ge=1, le=100, description="Deliveries a worker process sends at once.")
    concurrency_of_one: int = Field(8, ge=1, le=100, description="Deliveries to one webhook that it sends at once.")
    retention_days: float = Field(90, gt=0, description="How long events, and deliveries that failed, are kept.")
    log_days: float = Field(7, gt=0, description="How long deliveries that succeeded stay in the log of a webhook.")


class LogSettings(_Group):
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe event to log.")
    format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto: console on a terminal, JSON lines elsewhere."
    )


class MetricsSettings(_Group):
    access: Literal["off", "key", "local", "open"] = Field(
        "local",
        description="Who may read `/metrics`. local: programs of this machine, and administrators by their API key; "
        "key: only these; open: everybody who reaches the server; off: nobody, and nothing is counted.",
    )
    worker_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Port on which a `prismhouse worker` started by hand answers `/metrics`, to anybody. Unset: none.",
    )
    worker_host: str = Field("127.0.0.1", description="Address to which that port belongs.")


class TracingSettings(_Group):
    endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^/?#@\s]+(/[^?#\s]*)?$",
        description="URL of an OTLP/HTTP receiver of traces, such as `http://127.0.0.1:4318`; needs the extra `otel`. "
        "Unset: `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, `OTEL_EXPORTER_OTLP_ENDPOINT`, or no traces.",
    )
    sample_ratio: float = Field(1.0, ge=0, le=1, description="Share of requests and jobs that are traced.")


class Settings(BaseSettings):
    """Everything that can be set. Unknown keys are errors."""

    model_config = SettingsConfigDict(
        env_prefix="PRISMHOUSE_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    data_dir: Path = Field(
        Path("prismhouse-data"),
        description="Folder for the embedded database, blobs, models and the first key.",
    )
    bootstrap_api_key: SecretStr | None = Field(None, description="First API key, instead of a generated one.")
    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = DatabaseSettings()
    blobs: BlobSettings = BlobSettings()
    compute: ComputeSettings = ComputeSettings()
    inference: InferenceSettings = InferenceSettings()
    worker: WorkerSettings = WorkerSettings()
    limits: LimitSettings = LimitSettings()
    media: MediaSettings = MediaSettings()
    outbound: OutboundSettings = OutboundSettings()
    web: WebSettings = WebSettings()
    webhooks: WebhookSettings = WebhookSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    tracing: TracingSettings = TracingSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then environment, then the TOML file."""
        file = os.environ.get("PRISMHOUSE_CONFIG_FILE")
        toml = (TomlConfigSettingsSource(settings_cls, Path(file)),) if file else ()
        return (init_settings, env_settings, *toml)

"""Every number that is counted, in one list: its name, its labels, and what it means.

No label holds a tenant, a resource or anything a client writes: the number of series is bounded by the program.
"""

from __future__ import annotations

from prismhouse.telemetry.family import Counter, Family, Gauge, Histogram

__all__ = [
    "CHUNK_SECONDS",
    "COMPUTE_BUSY",
    "COMPUTE_CALL_SECONDS",
    "COMPUTE_PROCESSES",
    "COMPUTE_PROCESSES_LOST",
    "DATABASE_CONNECTIONS",
    "DATABASE_WAITS",
    "DOCUMENTS",
    "EVENT_STREAMS",
    "FAILURES",
    "FAMILIES",
    "HTTP_REQUESTS",
    "HTTP_SECONDS",
    "JOBS",
    "JOB_SECONDS",
    "OUTBOUND_REQUESTS",
    "OUTBOUND_SECONDS",
    "PROCESSES",
    "RESIDENT_BYTES",
    "ROWS",
    "WEBHOOK_DELIVERIES",
    "WEBHOOK_SECONDS",
]

_QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SLOW = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)

HTTP_REQUESTS = Counter(
    "prismhouse_http_requests_total",
    "HTTP requests that were answered.",
    ("route", "method", "status"),
)
HTTP_SECONDS = Histogram(
    "prismhouse_http_request_duration_seconds",
    "How long requests took until their answer was sent; event streams are left out.",
    ("route", "method"),
    buckets=_QUICK,
)
EVENT_STREAMS = Gauge("prismhouse_event_streams", "Event streams that are open.")
ROWS = Counter(
    "prismhouse_rows_total",
    "Rows whose outcome was stored: processed, failed, skipped (nothing to write). Their rate is rows per second.",
    ("extractor", "outcome"),
)
DOCUMENTS = Counter("prismhouse_documents_written_total", "Documents written by batches.", ("extractor",))
FAILURES = Counter(
    "prismhouse_row_failures_total", "Failed rows, and failed parts of rows, by their code.", ("extractor", "code")
)
CHUNK_SECONDS = Histogram(
    "prismhouse_chunk_duration_seconds",
    "How long a chunk of rows took from reading to its commit.",
    ("extractor",),
    buckets=_SLOW,
)
JOBS = Counter(
    "prismhouse_jobs_total",
    "Attempts of jobs that ended: succeeded, retried (failed, and tried again), failed (for good), stopped.",
    ("job", "outcome"),
)
JOB_SECONDS = Histogram("prismhouse_job_duration_seconds", "How long attempts of jobs took.", ("job",), buckets=_SLOW)
COMPUTE_CALL_SECONDS = Histogram(
    "prismhouse_compute_call_duration_seconds",
    "How long calls of extraction processes took, with their wait for a free process.",
    ("outcome",),
    buckets=_SLOW,
)
COMPUTE_PROCESSES = Gauge("prismhouse_compute_processes", "Extraction processes of the local pool that stand.")
COMPUTE_BUSY = Gauge("prismhouse_compute_processes_busy", "Extraction processes of the local pool at work.")
COMPUTE_PROCESSES_LOST = Counter(
    "prismhouse_compute_processes_lost_total",
    "Extraction processes that died during a call, or were ended because it took too long; each is replaced.",
    ("reason",),
)
DATABASE_CONNECTIONS = Gauge(
    "prismhouse_database_connections", "Connections of the pools: used, idle.", ("pool", "state")
)
DATABASE_WAITS = Counter(
    "prismhouse_database_pool_waits_total", "Units of work that waited because all connections were busy.", ("pool",)
)
OUTBOUND_REQUESTS = Counter(
    "prismhouse_outbound_requests_total",
    "Fetches of URLs that users gave: fetched, refused, unreachable.",
    ("outcome",),
)
OUTBOUND_SECONDS = Histogram("prismhouse_outbound_request_duration_seconds", "How long fetches took.", buckets=_QUICK)
WEBHOOK_DELIVERIES = Counter(
    "prismhouse_webhook_deliveries_total",
    "Attempts to deliver a webhook: delivered, retried (failed, and tried again), failed (given up).",
    ("outcome",),
)
WEBHOOK_SECONDS = Histogram(
    "prismhouse_webhook_delivery_duration_seconds", "How long attempts to deliver a webhook took.", buckets=_QUICK
)
PROCESSES = Gauge("prismhouse_processes", "Processes that run: api, worker, compute.", ("process",))
RESIDENT_BYTES = Gauge(
    "prismhouse_process_resident_memory_bytes", "Memory of all processes of a kind; Linux only.", ("process",)
)

FAMILIES: tuple[Family, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Family))

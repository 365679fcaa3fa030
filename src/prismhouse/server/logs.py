"""Structured logs: one event per line, with the request, namespace and task it belongs to. Never bodies or secrets."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from prismhouse.settings import LogSettings

__all__ = ["configure"]

_CONTEXT = ("request_id", "namespace_id", "task_id")
_QUIET = ("procrastinate", "httpx2", "httpcore2", "uvicorn", "asyncio")
_SECRET = ("authorization", "api_key", "password", "secret", "token", "dsn")
# Without the values of variables: they are bodies, texts and secrets.
_tracebacks = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
_Event = MutableMapping[str, Any]


def _mask(_: Any, __: str, event: _Event) -> _Event:
    """A last net under the rule that nobody logs a secret."""
    for name in event:
        if any(word in name.lower() for word in _SECRET):
            event[name] = "***"
    return event


def _console() -> structlog.dev.ConsoleRenderer:
    """Fields stand in the order in which they were given: method, path and status of a request come first."""
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), sort_keys=False, exception_formatter=structlog.dev.plain_traceback
    )


def configure(settings: LogSettings, *, process: str) -> None:
    """Send every event, also those of libraries, to stderr as JSON lines or, on a terminal, as text.

    `process` names the kind of process (supervisor, api, worker) in each event.
    """
    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())

    def name_process(_: Any, __: str, event: _Event) -> _Event:
        event.setdefault("process", process)
        return event

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        name_process,
        _mask,
    ]
    ending: list[Any] = [_console()] if console else [_tracebacks, structlog.processors.JSONRenderer()]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(allow=_CONTEXT)],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )

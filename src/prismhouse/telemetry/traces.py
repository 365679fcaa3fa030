"""Spans: which request led to which jobs, transactions and calls, and how long each took.

Nothing of OpenTelemetry is imported unless a receiver is set. Spans hold names, ids and sizes; never statements,
texts, addresses of files or messages of errors.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Literal, Protocol, Self

import structlog

from prismhouse import __version__
from prismhouse.kit.errors import WarehouseError
from prismhouse.settings import TracingSettings

__all__ = ["CARRIED", "Span", "begin", "carry", "end", "is_installed", "span", "tracing"]

CARRIED = "traceparent"
"""The name under which a job's arguments carry the span that all jobs of a chain belong to."""

_STANDARD = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PATH = "/v1/traces"
_EXPORT_SECONDS = 5
_LAST_EXPORT_SECONDS = 3.0
_Kind = Literal["internal", "server", "client", "consumer"]
_origin: ContextVar[str | None] = ContextVar("origin", default=None)
_log = structlog.get_logger(__name__)


class Span(Protocol):
    """A piece of work that is being measured, or nothing where traces are off."""

    def note(self, attributes: Mapping[str, Any]) -> None:
        """Add what was learned meanwhile; None is left out."""
        ...

    def rename(self, name: str) -> None:
        """Give it a better name."""
        ...

    def fail(self, kind: str) -> None:
        """Mark it as failed, for a reason of this kind."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class _Nothing:
    """What `span` gives while traces are off: one object for all."""

    def note(self, attributes: Mapping[str, Any]) -> None:
        pass

    def rename(self, name: str) -> None:
        pass

    def fail(self, kind: str) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class _Live:
    """A span of OpenTelemetry. One that is `current` is the parent of those begun inside."""

    __slots__ = ("_current", "_origin", "_parent", "_span", "_token")

    def __init__(
        self, name: str, kind: _Kind, *, carried: str | None, current: bool, attributes: Mapping[str, Any]
    ) -> None:
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._parent = TraceContextTextMapPropagator().extract({CARRIED: carried}) if carried else None
        self._span = _state.tracer.start_span(
            name, context=self._parent, kind=SpanKind[kind.upper()], attributes=_known(attributes)
        )
        self._current = current
        self._token: Any = None
        self._origin: Any = None
        if kind == "consumer":
            self._origin = carried or _text(self._span)

    def note(self, attributes: Mapping[str, Any]) -> None:
        self._span.set_attributes(_known(attributes))

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def fail(self, kind: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        self._span.set_attribute("error.type", kind)
        self._span.set_status(Status(StatusCode.ERROR))

    def __enter__(self) -> Self:
        if self._current:
            from opentelemetry import context, trace

            self._token = context.attach(trace.set_span_in_context(self._span))
        if self._origin is not None:
            self._origin = _origin.set(self._origin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and not _is_an_answer(error):
            self.fail(kind.__name__)
        if self._origin is not None:
            _origin.reset(self._origin)
        if self._token is not None:
            from opentelemetry import context

            context.detach(self._token)
        self._span.end()


@dataclass(slots=True)
class _State:
    provider: Any = None
    tracer: Any = None


_state = _State()
_NOTHING = _Nothing()


def tracing() -> bool:
    """Say whether spans are recorded."""
    return _state.tracer is not None


def is_installed() -> bool:
    """Say whether the packages of the extra `otel` are there."""
    try:
        return (
            find_spec("opentelemetry.sdk") is not None
            and find_spec("opentelemetry.exporter.otlp.proto.http") is not None
        )
    except ModuleNotFoundError:
        return False


def span(
    name: str,
    kind: _Kind = "internal",
    *,
    carried: str | None = None,
    current: bool = True,
    attributes: Mapping[str, Any] | None = None,
) -> Span:
    """Return a span to work in: `with span("job") as job:`.

    Args:
        carried: its parent, as a `traceparent` header holds it; otherwise the span around it is its parent.
        current: whether spans begun inside are its children. False where the block may end in another context.
        attributes: what is known about it; None is left out.
    """
    if _state.tracer is None:
        return _NOTHING
    return _Live(name, kind, carried=carried, current=current, attributes=attributes or {})


def carry() -> str | None:
    """Return what a job that is queued now carries, so that it belongs to the same trace; None while off.

    Jobs that queue jobs pass on what they carry: all jobs of a batch are children of the request that submitted it.
    """
    if _state.tracer is None:
        return None
    from opentelemetry import trace

    return _origin.get() or _text(trace.get_current_span())


def begin(settings: TracingSettings, *, process: str) -> None:
    """Record spans from now on if a receiver is set; `process` names the kind of this process."""
    endpoint = settings.endpoint or next((os.environ[name] for name in _STANDARD if os.environ.get(name)), None)
    if endpoint is None or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return
    if not is_installed():
        _log.warning("a receiver of traces is set, but the extra `otel` is not installed: nothing is traced")
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

    # Without an endpoint of ours the exporter reads the standard variables itself, also those for headers.
    at = settings.endpoint and settings.endpoint.rstrip("/").removesuffix(_PATH) + _PATH
    about: dict[str, Any] = {
        "service.name": os.environ.get("OTEL_SERVICE_NAME", "prismhouse"),
        "service.version": __version__,
        "prismhouse.process": process,
        "process.pid": os.getpid(),
    }
    provider = TracerProvider(
        resource=Resource.create(about),
        sampler=ParentBasedTraceIdRatio(settings.sample_ratio),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=at, timeout=_EXPORT_SECONDS)))
    _state.provider, _state.tracer = provider, provider.get_tracer("prismhouse", __version__)


def end() -> None:
    """Send what is left, for a few seconds at most, and record nothing more."""
    provider, _state.provider, _state.tracer = _state.provider, None, None
    if provider is not None:
        sending = threading.Thread(target=provider.shutdown, daemon=True)
        sending.start()
        sending.join(_LAST_EXPORT_SECONDS)


def _is_an_answer(error: BaseException | None) -> bool:
    """Say whether an error only tells a user what is wrong with the request."""
    return isinstance(error, WarehouseError) and error.code.status < 500


def _known(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}


def _text(span: Any) -> str | None:
    """Return a span as a `traceparent` header holds it."""
    about = span.get_span_context()
    return f"00-{about.trace_id:032x}-{about.span_id:016x}-{about.trace_flags:02x}" if about.is_valid else None

"""A number with labels, declared at import and counted only once a process has begun to count.

Before that, and where metrics are off, each call returns at once and nothing is imported.
"""

from __future__ import annotations

from typing import Any

__all__ = ["MOST_SERIES", "Counter", "Family", "Gauge", "Histogram"]

MOST_SERIES = 2000
_MOST_CHARACTERS = 120
_OTHER = "other"


class Family:
    """What all kinds share: `bind` gives it life."""

    kind = ""

    def __init__(
        self, name: str, meaning: str, labels: tuple[str, ...] = (), *, buckets: tuple[float, ...] = ()
    ) -> None:
        self.name = name
        self.meaning = meaning
        self.labels = labels
        self.buckets = buckets
        self._real: Any = None
        self._series: dict[tuple[str, ...], Any] = {}

    def bind(self, registry: Any) -> None:
        """Count from now on; `registry` None keeps the numbers where all processes of the house can read them."""
        self._series = {}
        self._real = self._made(registry)

    def unbind(self) -> None:
        """Count no more."""
        self._real, self._series = None, {}

    def _made(self, registry: Any) -> Any:
        raise NotImplementedError

    def _of(self, values: tuple[str, ...]) -> Any:
        """Return one series. Past a bound, new values are counted as `other`: memory does not grow with them."""
        found = self._series.get(values)
        if found is None:
            if len(self._series) >= MOST_SERIES:
                values = tuple(_OTHER for _ in values)
            plain = tuple(value[:_MOST_CHARACTERS] for value in values)
            found = self._series[values] = self._real.labels(*plain) if plain else self._real
        return found


class Counter(Family):
    """Only grows."""

    kind = "counter"

    def _made(self, registry: Any) -> Any:
        import prometheus_client

        return prometheus_client.Counter(self.name, self.meaning, self.labels, registry=registry)

    def add(self, *values: str, number: float = 1) -> None:
        """Add to the series of these label values."""
        if self._real is not None and number:
            self._of(values).inc(number)


class Gauge(Family):
    """Goes up and down. The numbers of all living processes are added together."""

    kind = "gauge"

    def _made(self, registry: Any) -> Any:
        import prometheus_client

        return prometheus_client.Gauge(
            self.name, self.meaning, self.labels, registry=registry, multiprocess_mode="livesum"
        )

    def set(self, *values: str, to: float) -> None:
        """Set the series of these label values."""
        if self._real is not None:
            self._of(values).set(to)


class Histogram(Family):
    """How often something took how long."""

    kind = "histogram"

    def _made(self, registry: Any) -> Any:
        import prometheus_client

        return prometheus_client.Histogram(
            self.name, self.meaning, self.labels, registry=registry, buckets=self.buckets
        )

    def observe(self, *values: str, seconds: float) -> None:
        """Note one duration."""
        if self._real is not None:
            self._of(values).observe(seconds)

"""One attempt to deliver one event to one channel."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from prismhouse.api.webhooks.channels import KeptChannel
from prismhouse.api.webhooks.message import MOST_BODY_BYTES, body_of, headers_of
from prismhouse.settings import WebhookSettings
from prismhouse.storage.outbound import Posted, Sender
from prismhouse.telemetry import traces

__all__ = ["Outcome", "attempt", "pause_after"]

_JITTER = 0.2
_LONGEST_ERROR = 500
_random = secrets.SystemRandom()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of an attempt. A hopeless one would fail again in the same way: it is not repeated.

    One whose receiver was `removed` says nothing of the health of those that are left.
    """

    posted: Posted
    hopeless: bool = False
    removed: bool = False

    @property
    def error(self) -> str | None:
        """Why it failed."""
        return self.posted.error and self.posted.error[:_LONGEST_ERROR]


async def attempt(
    sender: Sender,
    event: Mapping[str, Any],
    channel: KeptChannel | None,
    *,
    clock: Callable[[], float] = time.time,
) -> Outcome:
    """Send the row of an event to a channel; None stands for one that was removed."""
    if channel is None:
        return _hopeless("the webhook has no such channel any more", removed=True)
    body = body_of(event, channel)
    if len(body) > MOST_BODY_BYTES:
        return _hopeless(f"the rendered payload has {len(body)} bytes; at most {MOST_BODY_BYTES} are sent")
    headers = headers_of(body, channel, event_id=event["event_id"], timestamp=int(clock()))
    with traces.span("deliver webhook", "client") as span:
        posted = await sender.post(channel.url, body, headers, timeout_seconds=channel.timeout_seconds)
        span.note({"http.response.status_code": posted.status})
        if not posted.is_success:
            span.fail(str(posted.status or "no answer"))
    return Outcome(posted=posted)


def _hopeless(reason: str, *, removed: bool = False) -> Outcome:
    return Outcome(posted=Posted(status=None, error=reason, duration_ms=0), hopeless=True, removed=removed)


def pause_after(settings: WebhookSettings, attempts: int, outcome: Outcome) -> float | None:
    """Return how many seconds to wait after the failed attempt number `attempts`; None to give up."""
    if outcome.hopeless or attempts >= settings.max_attempts:
        return None
    longest = settings.longest_retry_seconds
    pause = min(settings.first_retry_seconds * 2.0 ** min(attempts - 1, 30), longest)
    asked = min(outcome.posted.retry_after_seconds or 0, longest)
    return float(max(pause * _random.uniform(1 - _JITTER, 1 + _JITTER), asked))

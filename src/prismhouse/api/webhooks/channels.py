"""Channels as they are kept: what may be shown in one place, secrets sealed in another."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prismhouse.api.webhooks.schemas import REDACTED, Channel
from prismhouse.kit import json
from prismhouse.storage.sealing import Sealer

__all__ = ["KeptChannel", "kept_of", "opened", "sealed", "shown"]

_SENSITIVE = re.compile(r"auth|secret|token|key|password|credential|signature|cookie", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptChannel:
    """A receiver with its secrets, for those who send."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    payload_template: Mapping[str, Any] | None = None
    timeout_seconds: float = 10
    signing_secret: str | None = field(default=None, repr=False)


def kept_of(asked: Sequence[Channel], before: Sequence[KeptChannel] = ()) -> list[KeptChannel]:
    """Return the channels that were asked for; a secret that is left out, or sent as it reads, stays as it was.

    A channel takes over the secrets of the one with its URL, or of the one in its place.
    """
    by_url = {one.url: one for one in before}
    kept = []
    for number, channel in enumerate(asked):
        configs = channel.configs
        old = by_url.get(configs.url) or (before[number] if number < len(before) else None)
        secret = configs.signing_secret
        if secret is None or secret == REDACTED:
            secret = old.signing_secret if old else None
        kept.append(
            KeptChannel(
                url=configs.url,
                headers=_headers(configs.headers, old),
                payload_template=configs.payload_template,
                timeout_seconds=configs.timeout,
                signing_secret=secret or None,
            )
        )
    return kept


def _headers(asked: Mapping[str, str] | None, old: KeptChannel | None) -> dict[str, str]:
    standing = {name.lower(): value for name, value in (old.headers if old else {}).items()}
    headers = {
        name: standing.get(name.lower()) if value == REDACTED else value for name, value in (asked or {}).items()
    }
    return {name: value for name, value in headers.items() if value is not None}


def shown(channel: KeptChannel) -> dict[str, Any]:
    """Return a channel as it is answered and stored: without a secret, nor the values of headers that hold one."""
    headers = {name: REDACTED if _SENSITIVE.search(name) else value for name, value in channel.headers.items()}
    return {
        "channel": "webhook",
        "configs": {
            "url": channel.url,
            "headers": headers,
            "payload_template": channel.payload_template,
            "timeout": channel.timeout_seconds,
            "signing_secret": REDACTED if channel.signing_secret else None,
        },
    }


def sealed(channels: Sequence[KeptChannel], sealer: Sealer, webhook_id: str) -> bytes:
    """Return the secrets of the channels, encrypted for this webhook."""
    secrets = [{"signing_secret": one.signing_secret, "headers": dict(one.headers)} for one in channels]
    return sealer.seal(json.dumps(secrets), owner=webhook_id)


def opened(stored: Sequence[Mapping[str, Any]], secrets: bytes, sealer: Sealer, webhook_id: str) -> list[KeptChannel]:
    """Return the channels of a webhook's row with their secrets; raise SecretUnreadable."""
    plain = json.loads(sealer.open(secrets, owner=webhook_id))
    return [
        KeptChannel(
            url=one["configs"]["url"],
            headers=secret["headers"],
            payload_template=one["configs"]["payload_template"],
            timeout_seconds=one["configs"]["timeout"],
            signing_secret=secret["signing_secret"],
        )
        for one, secret in zip(stored, plain, strict=True)
    ]

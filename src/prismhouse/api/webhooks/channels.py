"""Channels as they are kept: what may be shown in one place, secrets sealed in another."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from prismhouse.api.webhooks.schemas import REDACTED, Channel
from prismhouse.kit import json
from prismhouse.kit.errors import Invalid, field_fault
from prismhouse.storage.sealing import Sealer

__all__ = ["KeptChannel", "answered", "kept_of", "number_of", "opened", "sealed", "shown"]

_SENSITIVE = re.compile(r"auth|secret|token|key|password|credential|signature|cookie", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptChannel:
    """A receiver with its secrets, for those who send."""

    number: int
    """What its lanes and deliveries know it by, wherever it stands among the channels."""
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    payload_template: Mapping[str, Any] | None = None
    timeout_seconds: float = 10
    signing_secret: str | None = field(default=None, repr=False)


def kept_of(asked: Sequence[Channel], before: Sequence[KeptChannel] = (), *, unused: int = 0) -> list[KeptChannel]:
    """Return the channels that were asked for; a secret that is left out, or sent as it reads, stays as it was.

    A channel goes on as the one with its URL, or as the one in its place: with its secrets, and with what waits for it.
    Numbers from `unused` on are free for channels that are new. Raises Invalid where a header's value that nobody can
    read would go to another host.
    """
    kept = []
    for place, (channel, old) in enumerate(zip(asked, _continued(asked, before), strict=True)):
        configs = channel.configs
        _check_headers(place, channel, old)
        secret = configs.signing_secret
        if secret is None or secret == REDACTED:
            secret = old.signing_secret if old else None
        kept.append(
            KeptChannel(
                number=old.number if old else unused,
                url=configs.url,
                headers=_headers(configs.headers, old),
                payload_template=configs.payload_template,
                timeout_seconds=configs.timeout,
                signing_secret=secret or None,
            )
        )
        unused += old is None
    return kept


def _continued(asked: Sequence[Channel], before: Sequence[KeptChannel]) -> list[KeptChannel | None]:
    """Return for each asked channel the one that it goes on as; none serves twice."""
    found: list[KeptChannel | None] = [None] * len(asked)
    left = dict(enumerate(before))
    for is_same in (_in_place_with_url, _with_url, _in_place):
        for place, channel in enumerate(asked):
            if found[place] is None:
                number = next((at for at, old in left.items() if is_same(place, channel, at, old)), None)
                found[place] = None if number is None else left.pop(number)
    return found


def _with_url(_place: int, channel: Channel, _at: int, old: KeptChannel) -> bool:
    return channel.configs.url == old.url


def _in_place(place: int, _channel: Channel, at: int, _old: KeptChannel) -> bool:
    return place == at


def _in_place_with_url(place: int, channel: Channel, at: int, old: KeptChannel) -> bool:
    return place == at and channel.configs.url == old.url


def _check_headers(place: int, channel: Channel, old: KeptChannel | None) -> None:
    if old is None or _origin(old.url) == _origin(channel.configs.url):
        return
    for name, value in (channel.configs.headers or {}).items():
        if value == REDACTED and _SENSITIVE.search(name):
            where: list[str | int] = ["body", "channels", place, "configs", "headers", name]
            raise Invalid([field_fault(where, "must be sent again: it is not passed on to another host")])


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _headers(asked: Mapping[str, str] | None, old: KeptChannel | None) -> dict[str, str]:
    standing = {name.lower(): value for name, value in (old.headers if old else {}).items()}
    headers = {
        name: standing.get(name.lower()) if value == REDACTED else value for name, value in (asked or {}).items()
    }
    return {name: value for name, value in headers.items() if value is not None}


def number_of(stored: Mapping[str, Any], place: int) -> int:
    """Return the number of a stored channel; one that was stored without has its place."""
    return int(stored.get("number", place))


def answered(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored channel as it is answered."""
    return {name: value for name, value in stored.items() if name != "number"}


def shown(channel: KeptChannel) -> dict[str, Any]:
    """Return a channel as it is stored: without a secret, nor the values of headers that hold one."""
    headers = {name: REDACTED if _SENSITIVE.search(name) else value for name, value in channel.headers.items()}
    return {
        "number": channel.number,
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
            number=number_of(one, place),
            url=one["configs"]["url"],
            headers=secret["headers"],
            payload_template=one["configs"]["payload_template"],
            timeout_seconds=one["configs"]["timeout"],
            signing_secret=secret["signing_secret"],
        )
        for place, (one, secret) in enumerate(zip(stored, plain, strict=True))
    ]

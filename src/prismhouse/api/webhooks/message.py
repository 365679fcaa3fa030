"""A delivery's bytes and headers: Standard Webhooks, and the signature of the API that we speak."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from prismhouse.api.webhooks.channels import KeptChannel
from prismhouse.api.webhooks.model import STANDARD_PREFIX, envelope
from prismhouse.api.webhooks.template import render
from prismhouse.kit import json

__all__ = ["MOST_BODY_BYTES", "body_of", "headers_of"]

MOST_BODY_BYTES = 1_048_576


def body_of(event: Mapping[str, Any], channel: KeptChannel) -> bytes:
    """Return what is posted for an event's row: the same bytes at each attempt."""
    told = envelope(event)
    return json.dumps(told if channel.payload_template is None else render(channel.payload_template, told))


def headers_of(body: bytes, channel: KeptChannel, *, event_id: str, timestamp: int) -> dict[str, str]:
    """Return the headers of one attempt at `timestamp` (seconds since 1970); without a secret, unsigned."""
    headers = {
        **channel.headers,
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
    }
    if "user-agent" not in {name.lower() for name in channel.headers}:
        headers["user-agent"] = "Prismhouse-Webhooks"
    if channel.signing_secret:
        signed = f"{event_id}.{timestamp}.".encode() + body
        digest = hmac.digest(_key(channel.signing_secret), signed, hashlib.sha256)
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
        plain = hmac.digest(channel.signing_secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
        headers["x-mixpeek-signature"] = f"t={timestamp},v1={plain.hex()}"
    return headers


def _key(secret: str) -> bytes:
    """Return the key of Standard Webhooks: the base64 after `whsec_`; any other secret is its own bytes."""
    if secret.startswith(STANDARD_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(STANDARD_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            return secret.encode()
    return secret.encode()

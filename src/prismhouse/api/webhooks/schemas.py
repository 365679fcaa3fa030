"""Wire shapes of webhooks."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from prismhouse.api.web.body import RequestModel
from prismhouse.api.web.paging import PagingKeys
from prismhouse.api.web.storable import unstorable
from prismhouse.api.webhooks.model import ANY, EVENT_TYPES, STANDARD_PREFIX
from prismhouse.api.webhooks.template import MOST_TEMPLATE_BYTES, faults_of
from prismhouse.kit import json

__all__ = ["REDACTED", "Channel", "ChannelConfig", "ListWebhooks", "UpdateWebhook", "Webhook", "WebhookFields"]

REDACTED = "redacted"
"""What a secret reads as; sent back, it leaves the secret as it is."""

_MOST_HEADERS = 30
_LONGEST_HEADER = 2000
_LONGEST_URL = 2048
_LONGEST_SECRET = 500
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
_OURS = frozenset(
    {
        "connection", "content-encoding", "content-length", "content-type", "expect", "host", "keep-alive",
        "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "webhook-id", "webhook-signature",
        "webhook-timestamp", "x-mixpeek-signature",
    }
)  # fmt: skip


class ChannelConfig(RequestModel):
    """Where and how events are posted."""

    url: str = Field(min_length=1, max_length=_LONGEST_URL)
    headers: dict[str, str] | None = None
    payload_template: dict[str, Any] | None = None
    timeout: float = Field(10, gt=0, le=30)
    signing_secret: str | None = Field(None, max_length=_LONGEST_SECRET)

    @field_validator("headers")
    @classmethod
    def _are_sendable(cls, headers: dict[str, str] | None) -> dict[str, str] | None:
        if headers is None:
            return None
        if len(headers) > _MOST_HEADERS:
            raise ValueError(f"at most {_MOST_HEADERS} headers")
        if len({name.lower() for name in headers}) < len(headers):
            raise ValueError("names a header twice")
        for name, value in headers.items():
            if not _HEADER_NAME.fullmatch(name):
                raise ValueError(f"{name[:100]!r} is not the name of a header")
            if name.lower() in _OURS:
                raise ValueError(f"{name} is set by the sender itself")
            if len(value) > _LONGEST_HEADER or not _HEADER_VALUE.fullmatch(value):
                raise ValueError(f"the value of {name} must be printable ASCII of at most {_LONGEST_HEADER} characters")
        return headers

    @field_validator("signing_secret")
    @classmethod
    def _is_a_key(cls, secret: str | None) -> str | None:
        if secret == STANDARD_PREFIX:
            raise ValueError(f"{STANDARD_PREFIX} alone is an empty key, with which anybody could sign")
        return secret

    @field_validator("payload_template")
    @classmethod
    def _is_renderable(cls, template: dict[str, Any] | None) -> dict[str, Any] | None:
        if template is None:
            return None
        if faults := unstorable(template, []) or faults_of(template, []):
            where = ".".join(str(part) for part in faults[0]["location"])
            raise ValueError(f"{where}: {faults[0]['message']}")
        if len(json.dumps(template)) > MOST_TEMPLATE_BYTES:
            raise ValueError(f"at most {MOST_TEMPLATE_BYTES} bytes")
        return template


class Channel(RequestModel):
    """One receiver. The channels slack and email are not served here."""

    channel: Literal["webhook"]
    configs: ChannelConfig

    @model_validator(mode="before")
    @classmethod
    def _is_served(cls, given: Any) -> Any:
        named = given.get("channel") if isinstance(given, dict) else None
        if isinstance(named, str) and named in {"slack", "email", "sms"}:
            raise ValueError(f"channel {named} is not served here; use `webhook`, with the URL of a receiver")
        return given


class WebhookFields(RequestModel):
    """What every request may name; what only the server sets is accepted and left aside."""

    webhook_id: str | None = Field(None, pattern=r"^wh_[a-fA-F0-9]{16}$")
    internal_id: str | None = None
    delivery_health: dict[str, Any] | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


def _known(types: list[str]) -> list[str]:
    unknown = [name for name in types if name != ANY and name not in EVENT_TYPES]
    if unknown:
        named = ", ".join(repr(name[:100]) for name in unknown[:5])
        raise ValueError(f"no event types: {named}. There are: {ANY} (all), {', '.join(EVENT_TYPES)}")
    return list(dict.fromkeys(types))


class Webhook(WebhookFields):
    """A new webhook."""

    webhook_name: str = Field(min_length=1, max_length=200)
    event_types: list[str] = Field(min_length=1, max_length=200)
    resource_types: list[str] | None = Field(None, max_length=100)
    channels: list[Channel] = Field(min_length=1, max_length=5)
    is_active: bool = True

    @field_validator("event_types")
    @classmethod
    def _event_types_are_known(cls, types: list[str]) -> list[str]:
        return _known(types)


class UpdateWebhook(WebhookFields):
    """What is to be different; what is left out stays."""

    webhook_name: str | None = Field(None, min_length=1, max_length=200)
    event_types: list[str] | None = Field(None, min_length=1, max_length=200)
    resource_types: list[str] | None = Field(None, max_length=100)
    channels: list[Channel] | None = Field(None, min_length=1, max_length=5)
    is_active: bool | None = None

    @field_validator("event_types")
    @classmethod
    def _event_types_are_known(cls, types: list[str] | None) -> list[str] | None:
        return None if types is None else _known(types)


class ListWebhooks(PagingKeys, RequestModel):
    """Which webhooks."""

    event_type: str | None = None
    is_active: bool | None = None

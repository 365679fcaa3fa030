"""URLs signed with AWS Signature Version 4, in the query (`UNSIGNED-PAYLOAD`).

Every header named here is bound: a request that sends another value, or none, has another signature.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote, urlsplit

__all__ = ["LONGEST_SECONDS", "Credentials", "presign"]

LONGEST_SECONDS = 7 * 24 * 3600
_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Keys that do not expire by themselves, or do with their session."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def presign(
    method: str,
    url: str,
    *,
    credentials: Credentials,
    region: str,
    now: datetime,
    expires_in_seconds: int,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> str:
    """Return the URL with its signature.

    Args:
        method: the only method that the URL is good for.
        url: scheme, host and the path, not yet percent-encoded; without a query.
        credentials: who signs. With a session token, the URL lives no longer than the session.
        region: of the bucket.
        now: an aware UTC time; the URL is good from here on.
        expires_in_seconds: 1 to 604,800, the most that the scheme has.
        headers: bound beside the host: name to the exact value that the client must send.
        query: bound as well; for GET, `response-content-type` and the like.
    """
    parts = urlsplit(url)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    bound = {"host": parts.netloc, **{name.lower(): " ".join(value.split()) for name, value in (headers or {}).items()}}
    names = ";".join(sorted(bound))
    parameters = {
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{credentials.access_key_id}/{scope}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(min(max(expires_in_seconds, 1), LONGEST_SECONDS)),
        "X-Amz-SignedHeaders": names,
        **(query or {}),
    }
    if credentials.session_token:
        parameters["X-Amz-Security-Token"] = credentials.session_token
    path = quote(url.removeprefix(f"{parts.scheme}://{parts.netloc}"), safe="/-_.~")
    encoded = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in sorted(parameters.items()))
    lines = "".join(f"{name}:{bound[name]}\n" for name in sorted(bound))
    request = f"{method}\n{path}\n{encoded}\n{lines}\n{names}\nUNSIGNED-PAYLOAD"
    text = "\n".join([_ALGORITHM, stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    signature = _hmac(_signing_key(credentials.secret_access_key, scope), text).hex()
    return f"{parts.scheme}://{parts.netloc}{path}?{encoded}&X-Amz-Signature={signature}"


def _signing_key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")

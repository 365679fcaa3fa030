"""Where a bucket is and who may use it, from the settings and the standard AWS variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.settings import BlobSettings
from prismhouse.storage.blobs.s3.sigv4 import Credentials

__all__ = ["Place", "PlaceMalformed", "place_of"]

_DEFAULT_REGION = "us-east-1"
_DEFAULT_PORTS = {"http": 80, "https": 443}


class PlaceMalformed(WarehouseError):
    """{variable} cannot be used: {reason}."""

    code = Code.BAD_REQUEST
    hint = "docs/object-storage.md shows settings that work."


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A bucket and a prefix in it. Without `credentials`, those of the machine or container are asked for.

    `base` is the URL of the bucket as this server reaches it, `public_base` as clients do; neither ends in a slash.
    """

    bucket: str
    prefix: str
    region: str
    base: str
    public_base: str
    path_style: bool
    credentials: Credentials | None
    timeout_seconds: float = 30.0

    def key(self, *parts: str) -> str:
        """Return a key below the prefix."""
        return "/".join([self.prefix, *parts] if self.prefix else parts)


def place_of(settings: BlobSettings, environment: Mapping[str, str]) -> Place:
    """Return the place that `s3://bucket/prefix` and the settings beside it name; raise PlaceMalformed."""
    parts = urlsplit(settings.url or "")
    bucket, prefix = parts.netloc, unquote(parts.path).strip("/")
    if not bucket or "@" in bucket or ":" in bucket or parts.query or parts.fragment:
        # The value is not repeated: somebody may have written a secret into it.
        reason = "it must be s3://bucket or s3://bucket/prefix; keys and the endpoint have settings of their own"
        raise PlaceMalformed(variable="PRISMHOUSE_BLOBS__URL", reason=reason)
    if any(segment in {"", ".", ".."} or not segment.isprintable() for segment in prefix.split("/") if prefix):
        raise PlaceMalformed(variable="PRISMHOUSE_BLOBS__URL", reason="its prefix has an empty, `.` or `..` part")
    region = settings.region or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    region = region or _DEFAULT_REGION
    given = settings.endpoint or environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    endpoint = _endpoint(given, "PRISMHOUSE_BLOBS__ENDPOINT") if given else f"https://s3.{region}.amazonaws.com"
    public = settings.public_endpoint
    path_style = settings.path_style if settings.path_style is not None else bool(given) or "." in bucket
    return Place(
        bucket=bucket,
        prefix=prefix,
        region=region,
        base=_base(endpoint, bucket, path_style=path_style),
        public_base=_base(
            _endpoint(public, "PRISMHOUSE_BLOBS__PUBLIC_ENDPOINT") if public else endpoint,
            bucket,
            path_style=path_style,
        ),
        path_style=path_style,
        credentials=_credentials(settings, environment),
        timeout_seconds=settings.timeout_seconds,
    )


def _endpoint(given: str, variable: str) -> str:
    """Return scheme, host, port where it is not the scheme's, and path."""
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError as error:
        raise PlaceMalformed(variable=variable, reason="it is not a URL") from error
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise PlaceMalformed(variable=variable, reason="it must begin with http:// or https:// and name a host")
    if parts.username is not None or parts.query or parts.fragment:
        raise PlaceMalformed(variable=variable, reason="it must hold no keys, query or fragment")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown = f"{host}:{port}" if port and port != _DEFAULT_PORTS[parts.scheme] else host
    return f"{parts.scheme}://{shown}{parts.path.rstrip('/')}"


def _base(endpoint: str, bucket: str, *, path_style: bool) -> str:
    if path_style:
        return f"{endpoint}/{bucket}"
    scheme, _, rest = endpoint.partition("://")
    return f"{scheme}://{bucket}.{rest}"


def _credentials(settings: BlobSettings, environment: Mapping[str, str]) -> Credentials | None:
    secret = settings.secret_access_key
    if bool(settings.access_key_id) != bool(secret):
        lacking = "SECRET_ACCESS_KEY" if settings.access_key_id else "ACCESS_KEY_ID"
        reason = "an access key has two halves, its id and its secret; only one is set"
        raise PlaceMalformed(variable=f"PRISMHOUSE_BLOBS__{lacking}", reason=reason)
    if settings.access_key_id and secret:
        token = settings.session_token
        return Credentials(
            access_key_id=settings.access_key_id,
            secret_access_key=secret.get_secret_value(),
            session_token=token.get_secret_value() if token else None,
        )
    key_id, key = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    if key_id and key:
        token_text = environment.get("AWS_SESSION_TOKEN")
        return Credentials(access_key_id=key_id, secret_access_key=key, session_token=token_text or None)
    return None

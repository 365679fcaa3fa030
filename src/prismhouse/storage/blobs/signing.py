"""Signed URLs of our own server: who holds one may do what it says until it expires, without an API key."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, urlencode

from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.storage.blobs.signing_keys import LONGEST_URL_SECONDS, SigningKeys

__all__ = ["LinkExpired", "LinkForOtherMethod", "LinkTampered", "Signer"]

_METHODS = ("GET", "PUT")
_SCHEME = "prismhouse-1"


class LinkTampered(WarehouseError):
    """The signature does not fit this URL."""

    code = Code.FORBIDDEN
    wire_code = "SignatureDoesNotMatch"
    hint = "Use the URL exactly as it was given, or ask for a new one."


class LinkExpired(WarehouseError):
    """This URL expired at {expired_at}."""

    code = Code.FORBIDDEN
    wire_code = "AccessDenied"
    hint = "Ask for a new one."


class LinkForOtherMethod(WarehouseError):
    """This URL was signed for {signed_for}, not for {method}."""

    code = Code.FORBIDDEN
    wire_code = "SignatureDoesNotMatch"
    hint = "Send the request with the method that it was signed for."


class Signer:
    """Signs and checks the query of a URL. The signature covers the method and every parameter."""

    def __init__(self, keys: SigningKeys, *, clock: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._clock = clock

    def sign(self, method: str, parameters: Mapping[str, str], *, expires_in_seconds: int) -> str:
        """Return a query string. A URL for GET opens HEAD too."""
        seconds = min(expires_in_seconds, LONGEST_URL_SECONDS)
        key = self._keys.newest()
        signed = {**parameters, "expires": str(int(self._clock()) + seconds), "key_id": key.key_id}
        return urlencode({**signed, "signature": _signature(key.secret, method, signed)})

    def check(self, method: str, query: str) -> dict[str, str]:
        """Return the parameters of a URL that is good now; raise LinkTampered, LinkExpired or LinkForOtherMethod."""
        try:
            pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict")
        except ValueError as error:
            raise LinkTampered from error
        parameters = dict(pairs)
        given = parameters.pop("signature", "").encode("utf-8", "replace")
        secret = self._keys.secret_of(parameters.get("key_id", ""))
        # A parameter given twice could mean one thing to us and another to whoever looks at the URL.
        if secret is None or len(pairs) != len(parameters) + 1:
            raise LinkTampered
        wanted = "GET" if method == "HEAD" else method
        fits = [
            name
            for name in (wanted, *_METHODS)
            if hmac.compare_digest(_signature(secret, name, parameters).encode(), given)
        ]
        if not fits:
            raise LinkTampered
        if fits[0] != wanted:
            raise LinkForOtherMethod(signed_for=fits[0], method=method)
        expires = int(parameters["expires"])
        if expires <= self._clock():
            raise LinkExpired(expired_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires)))
        return parameters


def _signature(secret: bytes, method: str, parameters: Mapping[str, str]) -> str:
    text = "\n".join((_SCHEME, method, urlencode(sorted(parameters.items()))))
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()

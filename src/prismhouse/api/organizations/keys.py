"""A secret key: how it is made, what is kept of it, and what its scopes open."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["PERMISSIONS", "digest", "grants_of", "new_key", "origin_allowed", "prefix_of", "same", "unusable"]

PERMISSIONS = ("read", "write", "delete", "admin")
_OPERATION_PERMISSION = {
    "read_data": "read",
    "write_data": "write",
    "delete_data": "delete",
    "manage_permissions": "admin",
}
_SHOWN_CHARACTERS = 10


def new_key() -> str:
    """Return a fresh secret: `sk_` and 256 random bits."""
    return f"sk_{secrets.token_hex(32)}"


def digest(key: str) -> str:
    """Return what is stored: sha256 in hex. The key has 256 random bits, so no salt or stretching is needed."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def prefix_of(key: str) -> str:
    """Return the part that is shown in lists: ten characters, and never more than half of a short key."""
    return key[: min(_SHOWN_CHARACTERS, len(key) // 2)]


def same(left: str, right: str) -> bool:
    """Compare two digests in constant time."""
    return hmac.compare_digest(left, right)


def grants_of(scopes: Sequence[Mapping[str, Any]]) -> dict[str, frozenset[str]] | None:
    """Return namespace pattern -> permissions that the scopes leave, or None where nothing is restricted.

    A scope without operations leaves all permissions; a pattern given twice has the union of both.
    """
    if not scopes:
        return None
    grants: dict[str, frozenset[str]] = {}
    for scope in scopes:
        operations = scope.get("operations")
        allowed = PERMISSIONS if not operations else [_OPERATION_PERMISSION.get(name, "") for name in operations]
        pattern = str(scope["resource_id"])
        grants[pattern] = grants.get(pattern, frozenset()) | frozenset(allowed) - {""}
    return grants


def unusable(operations: Sequence[str]) -> str | None:
    """Return why a key with only these operations would fail, or None. Each permission includes those before it."""
    names = [name for name in _OPERATION_PERMISSION if name in operations]
    wanted = [*_OPERATION_PERMISSION][: [*_OPERATION_PERMISSION].index(names[-1]) + 1] if names else ["read_data"]
    missing = [name for name in wanted if name not in operations]
    if not missing:
        return None
    return f"must include {', '.join(missing)}: {names[-1] if names else 'every permission'} rests on it"


def origin_allowed(allowed: Sequence[str] | None, origin: str | None) -> bool:
    """Say whether a browser at `origin` may use the key; entries are exact or `https://*.host`."""
    if not allowed or origin is None:
        return True
    return any(_matches(entry.rstrip("/").lower(), origin.rstrip("/").lower()) for entry in allowed)


def _matches(entry: str, origin: str) -> bool:
    scheme, star, host = entry.partition("://*.")
    if not star:
        return entry in {origin, "*"}
    return origin.startswith(f"{scheme}://") and origin.endswith(f".{host}") and "/" not in origin[len(scheme) + 3 :]

"""Secrets of users, encrypted before they reach the database: a dump of it alone opens none.

AES-256-GCM under one key for all machines. What is sealed is bound to where it belongs, so that a sealed text that is
moved to another row does not open.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import secrets
from pathlib import Path

from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["Sealer", "SealingKeyMalformed", "SecretUnreadable"]

_VERSION = b"\x01"
_KEY_BYTES = 32
_NAME_BYTES = 4
_NONCE_BYTES = 12
_HEAD_BYTES = len(_VERSION) + _NAME_BYTES + _NONCE_BYTES


class SealingKeyMalformed(WarehouseError):
    """The key that encrypts stored secrets ({where}) is not 32 bytes in base64."""

    code = Code.BAD_REQUEST
    hint = 'Make one with: python -c "import base64, os; print(base64.b64encode(os.urandom(32)).decode())"'


class SecretUnreadable(WarehouseError):
    """A stored secret cannot be decrypted: {reason}."""

    code = Code.INTERNAL
    hint = "Bring back the key it was stored with (`secrets-key` in the data folder), or send the secret again."


class Sealer:
    """Seals and opens; its key is read, or made, at the first use.

    Args:
        file: where the key lies, or is made with mode 0600.
        key: the key itself in base64, instead of a file; malformed, it raises SealingKeyMalformed.
    """

    def __init__(self, file: Path, *, key: str | None = None) -> None:
        self._file = file
        self._key = None if key is None else _decoded(key, "PRISMHOUSE_WEBHOOKS__SECRETS_KEY")

    def seal(self, plain: bytes, *, owner: str) -> bytes:
        """Return `plain` encrypted for `owner`."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key = self._known()
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + _name(key) + nonce + AESGCM(key).encrypt(nonce, plain, owner.encode())

    def open(self, sealed: bytes, *, owner: str) -> bytes:
        """Return what was sealed for `owner`; raise SecretUnreadable."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key, head = self._known(), sealed[:_HEAD_BYTES]
        if len(head) < _HEAD_BYTES or head[:1] != _VERSION:
            raise SecretUnreadable(reason="it is not in a form that this version knows")
        if head[1 : 1 + _NAME_BYTES] != _name(key):
            raise SecretUnreadable(reason="it was stored with another key")
        try:
            return AESGCM(key).decrypt(head[-_NONCE_BYTES:], sealed[_HEAD_BYTES:], owner.encode())
        except InvalidTag as error:
            raise SecretUnreadable(reason="it was changed, or belongs elsewhere") from error

    def _known(self) -> bytes:
        if self._key is None:
            self._key = self._read() or self._make()
        return self._key

    def _read(self) -> bytes | None:
        try:
            return _decoded(self._file.read_text(), str(self._file))
        except FileNotFoundError:
            return None

    def _make(self) -> bytes:
        """Make the file, unless another process does so at this moment: then its key is the one."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        new = self._file.with_name(f"{self._file.name}.{secrets.token_hex(4)}")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(base64.b64encode(secrets.token_bytes(_KEY_BYTES)) + b"\n")
                file.flush()
                os.fsync(descriptor)
            with contextlib.suppress(FileExistsError):
                os.link(new, self._file)  # never replaces one that is there
        finally:
            new.unlink()
        key = self._read()
        if key is None:
            raise SecretUnreadable(reason="its key was removed while it was made")
        return key


def _decoded(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), altchars=b"-_" if {"-", "_"} & set(text) else None, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SealingKeyMalformed(where=where) from error
    if len(key) != _KEY_BYTES:
        raise SealingKeyMalformed(where=where)
    return key


def _name(key: bytes) -> bytes:
    return hashlib.sha256(b"prismhouse sealing key" + key).digest()[:_NAME_BYTES]

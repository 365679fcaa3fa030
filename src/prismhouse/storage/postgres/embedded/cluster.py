"""The data of one server: made once, and opened only to the accounts that need it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.storage.postgres.embedded.account import Account

__all__ = [
    "ClusterNotMade",
    "ClusterNotOurs",
    "ClusterNotReadable",
    "ensure",
    "environment",
    "seen_from_inside",
    "write_access",
]

_INIT_TIMEOUT_SECONDS = 300
_MAJOR = "18"


class ClusterNotReadable(WarehouseError):
    """The database in {folder} belongs to user {owner}, and this process runs as {me}."""

    code = Code.FORBIDDEN
    hint = "Run as that user or as root, or choose another folder with --data."


class ClusterNotOurs(WarehouseError):
    """The database in {folder} is of PostgreSQL {found}; this Prismhouse has PostgreSQL 18."""

    code = Code.CONFLICT
    hint = "Dump it with the Prismhouse version that made it, and restore the dump into a new data folder."


class ClusterNotMade(WarehouseError):
    """A database could not be made in {folder}: {reason}"""

    hint = "Check that the folder can be written to and has free space."


def environment() -> dict[str, str]:
    """Return the environment for server programs: nothing of ours, neither PG variables nor secrets."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def seen_from_inside(folder: Path, account: Account) -> Path:
    """Return a name of `folder` that works for a process which runs in it but may not pass the folders above it.

    A server started by root often has its data under a private home. The kernel's link to the working folder
    needs no permission on the way, so nothing has to be opened or moved.
    """
    link = Path("/proc/self/cwd")
    return link if account.dropped and link.exists() else folder


def ensure(folder: Path, programs: Path, account: Account, *, durable: bool = True) -> None:
    """Make the database unless it exists; a half-made one from an interrupted start is made anew."""
    version = folder / "PG_VERSION"
    try:
        found = version.read_text().strip() if folder.exists() else None
    except FileNotFoundError:
        found = None
    except PermissionError as error:
        owner = _name(folder.stat().st_uid)
        raise ClusterNotReadable(folder=folder, owner=owner, me=account.name) from error
    if found and not account.dropped and folder.stat().st_uid != account.uid:
        raise ClusterNotReadable(folder=folder, owner=_name(folder.stat().st_uid), me=account.name)
    if found is None:
        _make(folder, programs, account, durable=durable)
    elif found != _MAJOR:
        raise ClusterNotOurs(folder=folder, found=found)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _make(folder: Path, programs: Path, account: Account, *, durable: bool) -> None:
    """Make it beside its place and rename it, so that it is there whole or not at all."""
    draft = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if account.dropped:
        os.chown(draft, account.uid, account.gid)
    command = [
        *(str(programs / "initdb"), "-D", str(seen_from_inside(draft, account))),
        *("--username=postgres", "--auth=peer", "--encoding=UTF8", "--locale=C.UTF-8"),
        *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"),
        *(() if durable else ("--no-sync",)),
    ]
    done = subprocess.run(  # noqa: S603 - our own program and parameters
        command,
        cwd=draft,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_INIT_TIMEOUT_SECONDS,
        **account.popen_options(),
    )
    if done.returncode != 0:
        raise ClusterNotMade(folder=folder, reason=_cause(done.stderr))
    draft.rename(folder)


def _cause(complaint: str) -> str:
    """Return what went wrong, and not what initdb did about it."""
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    causes = [line for line in lines if "ERROR:" in line or "FATAL:" in line or "error:" in line]
    return " | ".join((causes or lines)[-3:])


def write_access(folder: Path, account: Account) -> None:
    """Let root, this user and the server's own account in as `postgres`, by the word of the kernel, nobody else."""
    names = sorted({"root", account.name, _name(os.geteuid())})
    _write(folder / "pg_hba.conf", "local all all peer map=prismhouse\n", account)
    _write(folder / "pg_ident.conf", "".join(f'prismhouse "{name}" postgres\n' for name in names), account)


def _write(path: Path, text: str, account: Account) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        if account.dropped:
            os.fchown(file.fileno(), account.uid, account.gid)

"""Which operating-system account PostgreSQL runs as: it refuses to run as root."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Account", "account_for"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account, and whether the server process has to change to it."""

    uid: int
    gid: int
    name: str
    dropped: bool

    def popen_options(self) -> dict[str, Any]:
        """Return the arguments with which subprocess changes to this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.dropped else {}

    def may_pass(self, path: Path) -> bool:
        """Say whether the permission bits let this account reach `path` and read it; unsure counts as no."""
        return all(self._allowed(folder, 0o1) for folder in path.parents) and self._allowed(path, 0o5)

    def _allowed(self, path: Path, wanted: int) -> bool:
        status = path.stat()
        shift = 6 if status.st_uid == self.uid else 3 if status.st_gid == self.gid else 0
        return (status.st_mode >> shift) & wanted == wanted


def account_for(folder: Path) -> Account | None:
    """Return the account for the server of `folder`: oneself, or as root the folder's owner, else `nobody`.

    None when this account has no name: PostgreSQL and its peer authentication need one.
    """
    uid = os.geteuid()
    try:
        if uid != 0:
            mine = pwd.getpwuid(uid)
            return Account(uid=uid, gid=os.getegid(), name=mine.pw_name, dropped=False)
        owner = folder.stat().st_uid
        entry = pwd.getpwuid(owner) if owner != 0 else pwd.getpwnam("nobody")
    except KeyError:
        return None
    return Account(uid=entry.pw_uid, gid=entry.pw_gid, name=entry.pw_name, dropped=True)

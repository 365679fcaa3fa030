"""One PostgreSQL server, run as a direct child of this process, in a folder that one process owns at a time.

The folder holds `lock`, `server.log`, `connection` (how to reach the running server) and `cluster`, the data.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.storage.postgres.embedded import binaries, cluster, processes, tuning
from prismhouse.storage.postgres.embedded.account import Account, account_for

__all__ = ["AccountUnknown", "DataFolderInUse", "EmbeddedPostgres", "EmbeddedPostgresFailed", "running_dsn"]

_SOCKET_PATH_LIMIT = 107
_SOCKET_NAME = "/.s.PGSQL.5432"
_SPECIAL = ",'\"\\"
_LOG_LIMIT_BYTES = 10 * 2**20


class DataFolderInUse(WarehouseError):
    """The data folder {folder} is in use by process {pid}."""

    code = Code.CONFLICT
    hint = "Stop that process, or choose another folder with --data."


class AccountUnknown(WarehouseError):
    """User id {uid} has no name on this machine, and PostgreSQL needs one."""

    code = Code.UNAVAILABLE
    hint = "Add the id to /etc/passwd, run as another user, or name a PostgreSQL in PRISMHOUSE_DATABASE__URL."


class EmbeddedPostgresFailed(WarehouseError):
    """The embedded PostgreSQL did not start: {reason}"""

    hint = "Its log is {log}."


def running_dsn(folder: Path) -> str | None:
    """Return how to reach the server that another process runs in `folder`, or None when none runs there."""
    try:
        with (folder / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            return (folder / "connection").read_text().strip() or None
        except FileNotFoundError:
            return None
    except FileNotFoundError:
        pass
    return None


def _locked(lock: int) -> bool:
    """Take the lock, or say that someone holds it; `running_dsn` holds it for an instant, so a second look is due."""
    for pause_seconds in (0.05, 0.2, None):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if pause_seconds:
                time.sleep(pause_seconds)
        else:
            return True
    return False


class EmbeddedPostgres:
    """`with EmbeddedPostgres(folder) as server: connect(server.dsn)`.

    Start it from the main thread: on Linux the server gets a fast shutdown when the thread that started it ends.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        shared_buffers_mb: int | None = None,
        connections: int = 100,
        durable: bool = True,
        start_timeout_seconds: float = 300,
        stop_timeout_seconds: float = 60,
    ) -> None:
        """Without `durable` it never waits for the disk: for tests alone, a crash may lose everything."""
        self.folder = Path(os.path.abspath(data_dir))  # noqa: PTH100 - keeps symbolic links as the user wrote them
        self.cluster = self.folder / "cluster"
        self.log = self.folder / "server.log"
        self._parameters = tuning.parameters(
            tuning.memory_bytes(), shared_buffers_mb=shared_buffers_mb, connections=connections
        ) | ({} if durable else tuning.VOLATILE)
        self._durable = durable
        self._start_timeout_seconds = start_timeout_seconds
        self._stop_timeout_seconds = stop_timeout_seconds
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._socket_folder = self.cluster
        self._borrowed: Path | None = None

    @property
    def dsn(self) -> str:
        """How to connect: a Unix socket, and the kernel vouches for the caller."""
        return f"host='{self._socket_folder}' user=postgres dbname=postgres"

    @property
    def pid(self) -> int | None:
        """The server's process id, or None when it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def exit_code(self) -> int | None:
        """Return the exit code of a server that ended, or None."""
        return self._process.poll() if self._process else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def acquire(self) -> None:
        """Take the folder for this process; raise DataFolderInUse."""
        if self._lock is not None:
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        if not _locked(lock):
            holder = os.read(lock, 20).decode().strip() or "unknown"
            os.close(lock)
            raise DataFolderInUse(folder=self.folder, pid=holder)
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        self._lock = lock

    def start(self) -> None:
        """Start and wait until connections are accepted; also starts again a server that ended.

        Raises:
            DataFolderInUse: another process has the folder.
            EmbeddedPostgresFailed: with the end of the server's log.
        """
        self.acquire()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        account = account_for(self.cluster if self.cluster.exists() else self.folder)
        if account is None:
            raise AccountUnknown(uid=os.geteuid())
        programs = binaries.reachable(binaries.installed(), account) / "bin"
        self._clear_remains()
        cluster.ensure(self.cluster, programs, account, durable=self._durable)
        cluster.write_access(self.cluster, account)
        self._place_socket(account)
        self._rotate_log()
        self._process = self._launch(programs, account)
        self._wait_until_ready()
        (self.folder / "connection").write_text(self.dsn + "\n")

    def _clear_remains(self) -> None:
        """Stop what a killed process left running, which is ours because we hold the lock; then its lock files.

        PostgreSQL would believe them where their process waits to be reaped, or its number is another program's now.
        """
        if not processes.end_all(self.cluster, timeout_seconds=self._stop_timeout_seconds):
            reason = f"an earlier server of this folder does not stop (processes {processes.servers_in(self.cluster)})."
            raise EmbeddedPostgresFailed(reason=reason, log=self.log)
        for name in ("postmaster.pid", _SOCKET_NAME[1:], f"{_SOCKET_NAME[1:]}.lock"):
            (self.cluster / name).unlink(missing_ok=True)

    def _place_socket(self, account: Account) -> None:
        """Keep the socket in the cluster, or in a fresh private folder when that path is no good for a socket.

        It may be too long for the kernel, or hold what separates and quotes the names of hosts and folders.
        """
        path = f"{self.cluster}{_SOCKET_NAME}"
        plain = len(os.fsencode(path)) <= _SOCKET_PATH_LIMIT and not any(mark in path for mark in _SPECIAL)
        if plain or self._borrowed:
            return
        self._borrowed = Path(tempfile.mkdtemp(prefix="prismhouse-", dir="/tmp"))
        os.chown(self._borrowed, account.uid, account.gid)
        self._socket_folder = self._borrowed

    def _rotate_log(self) -> None:
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))

    def _launch(self, programs: Path, account: Account) -> subprocess.Popen[bytes]:
        """Run the server from inside its folder, so that no folder above it has to be open to its account."""
        inside = cluster.seen_from_inside(self.cluster, account)
        socket_folder = self._borrowed or inside
        given = {**self._parameters, "unix_socket_directories": f'"{socket_folder}"'}
        command = [str(programs / "postgres"), "-D", str(inside), *(f"-c{key}={value}" for key, value in given.items())]
        with self.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own program and parameters
                command,
                cwd=self.cluster,
                env=cluster.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=processes.dies_with_parent(signal.SIGINT),  # noqa: PLW1509 - it only makes system calls
                **account.popen_options(),
            )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self._start_timeout_seconds
        while True:
            if (code := self.exit_code()) is not None:
                raise EmbeddedPostgresFailed(reason=f"it ended with code {code}. {self._log_tail()}", log=self.log)
            try:
                lines = (self.cluster / "postmaster.pid").read_text().splitlines()
            except FileNotFoundError:
                lines = []
            if len(lines) > 7 and lines[7].strip() == "ready" and int(lines[0]) == self.pid:
                return
            if time.monotonic() > deadline:
                seconds = self._start_timeout_seconds
                raise EmbeddedPostgresFailed(reason=f"it was not ready after {seconds:g} s.", log=self.log)
            time.sleep(0.005)

    def _log_tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return " | ".join(lines[-5:])

    def stop(self) -> None:
        """Shut down fast (running transactions are rolled back), at once after a timeout, and free the folder."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(self._stop_timeout_seconds)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                self._process.wait(self._stop_timeout_seconds)
        self._process = None
        if self._borrowed:
            shutil.rmtree(self._borrowed, ignore_errors=True)
            self._borrowed, self._socket_folder = None, self.cluster
        if self._lock is not None:
            (self.folder / "connection").unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

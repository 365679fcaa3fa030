"""`prismhouse batch` as a person at a terminal, and as a script without one."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.end_to_end.test_batch_events import draft
from tests.running import Api, RunningServer, clean_environment
from tests.terminal import plain, shown_on_terminal
from tests.watching import run_batch, submit_batch

TIMEOUT_SECONDS = 40


def command(server: RunningServer, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "prismhouse", "batch", *arguments, "--data", str(server.data_dir)]


def environment(server: RunningServer, **more: str) -> dict[str, str]:
    return {**clean_environment(), "PRISMHOUSE_SERVER__PORT": str(server.port), **more}


def batch(server: RunningServer, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(server, *arguments),
        env=environment(server, **more),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )


def on_terminal(server: RunningServer, *arguments: str, stop_at: bytes | None = None) -> tuple[int, str]:
    """Run it in a pseudo-terminal; send Ctrl-C when `stop_at` is shown. Return the exit code and what was shown."""
    return shown_on_terminal(command(server, *arguments), environment(server), stop_at=stop_at)


def test_watch_prints_lines_when_there_is_no_terminal(server: RunningServer, api: Api) -> None:
    path = submit_batch(api, ["one", "two", "three"], tiers=2)

    done = batch(server, "watch", path.rpartition("/")[2])

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{path.rpartition('/')[2]}: 3 objects, 2 tiers")
    assert "tier 1 of 2 is COMPLETED: 3 documents" in done.stdout
    assert re.search(r"^COMPLETED in [0-9.]+ s: 6 documents written$", done.stdout, re.MULTILINE)
    assert "\x1b" not in done.stdout


def test_watch_names_failures_and_ends_with_one_when_rows_fail(server: RunningServer, api: Api) -> None:
    made = run_batch(api, ["one", None, "three"])
    assert made["status"] == "COMPLETED_WITH_ERRORS"

    done = batch(server, "watch", made["batch_id"], "--namespace", str(api.namespace))

    assert done.returncode == 1
    assert re.search(r"failed in tier 1: obj_\w+ \[missing_input\] ", done.stdout), done.stdout
    assert "COMPLETED_WITH_ERRORS" in done.stdout
    assert "2 documents written, 1 row failed" in done.stdout


def test_watch_draws_bars_when_there_is_a_terminal(server: RunningServer, api: Api) -> None:
    pytest.importorskip("rich")
    path = submit_batch(api, [*["text"] * 30, None], tiers=2)

    code, shown = on_terminal(server, "watch", path.rpartition("/")[2])

    text = plain(shown)
    assert code == 1, text
    assert "━" in text
    assert "31/31 rows" in text
    assert "tier 2 of 2" in text
    assert "failed in tier 1: obj_" in text
    assert "COMPLETED_WITH_ERRORS" in text


def test_ctrl_c_leaves_the_batch_alone_and_says_so(server: RunningServer, api: Api) -> None:
    path = draft(api)

    code, shown = on_terminal(server, "watch", path.rpartition("/")[2], stop_at=b"DRAFT")

    assert code == 130
    assert "The batch goes on." in plain(shown)
    assert "Traceback" not in shown
    assert api.ok("GET", path)["status"] == "DRAFT"


def test_watch_goes_on_when_the_server_comes_back(
    private_server: Callable[..., RunningServer], api_of: Callable[..., Api]
) -> None:
    server = private_server(PRISMHOUSE_WORKER__CONCURRENCY="1")
    api = api_of(server, "again")
    path = draft(api)
    watching = subprocess.Popen(
        command(server, "watch", path.rpartition("/")[2]),
        env=environment(server, PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    try:
        assert "DRAFT" in watching.stdout.readline()
        server.stop()
        assert "Trying again" in watching.stdout.readline()
        again = server.again()
        try:
            again.wait_until_healthy()
            Api(again, api.namespace).ok("POST", f"/v1/batches/{path.rpartition('/')[2]}/cancel")
            rest, _ = watching.communicate(timeout=TIMEOUT_SECONDS)
        finally:
            again.stop()
        assert "CANCELED" in rest
        assert watching.returncode == 1
    finally:
        watching.kill()
        watching.communicate()


def test_list_and_show_say_how_batches_stand(server: RunningServer, api: Api) -> None:
    made = run_batch(api, ["one", "two"])

    listed = batch(server, "list", "--namespace", str(api.namespace))
    shown = batch(server, "show", made["batch_id"])

    assert (listed.returncode, shown.returncode) == (0, 0), listed.stderr + shown.stderr
    assert re.search(rf"^{made['batch_id']}\s+COMPLETED\s+100 %\s+2\s+2\s", listed.stdout, re.MULTILINE)
    assert "tier 1 of 1: COMPLETED, 2 rows, 2 processed, 0 failed, 0 skipped, 2 documents" in shown.stdout


def test_what_is_wrong_is_said_without_a_traceback(server: RunningServer, api: Api, tmp_path: Path) -> None:
    missing = batch(server, "watch", "btch_nobody/../x")
    no_key = subprocess.run(
        [sys.executable, "-m", "prismhouse", "batch", "list", "--data", str(tmp_path)],
        env=environment(server),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )
    wrong_key = batch(server, "list", PRISMHOUSE_API_KEY="sk_wrong")
    elsewhere = batch(server, "list", "--url", "http://127.0.0.1:1")
    nowhere = batch(server, "list", "--url", "http://here:port")

    for done, words in (
        (missing, "No batch btch_nobody/../x"),
        (no_key, "There is no API key"),
        (wrong_key, "does not know this API key"),
        (elsewhere, "does not answer"),
        (nowhere, "not a URL"),
    ):
        assert done.returncode == 1, done
        assert words in done.stderr
        assert "Traceback" not in done.stderr

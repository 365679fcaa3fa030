"""Logs name what an event belongs to, and never hold bodies or secrets."""

from __future__ import annotations

import json
import logging

import pytest
import structlog

from prismhouse.server import logs
from prismhouse.settings import LogSettings


@pytest.fixture(autouse=True)
def restored():
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def fail(body: str) -> None:
    raise ValueError("no")


@pytest.mark.parametrize("form", ["json", "console"])
def test_tracebacks_hold_no_values_when_an_error_is_logged(capsys, form):
    logs.configure(LogSettings(format=form), process="api")

    try:
        fail(f"private-{chr(116)}ext")
    except ValueError:
        structlog.get_logger("x").exception("it failed")

    written = capsys.readouterr().err
    assert "ValueError" in written
    assert "in fail" in written or '"fail"' in written
    assert "private-text" not in written


def test_event_names_request_and_process_when_bound(capsys):
    logs.configure(LogSettings(format="json"), process="api")

    structlog.contextvars.bind_contextvars(request_id="req_1", namespace_id="ns_1")
    structlog.get_logger("x").info("done", api_key="sk_secret")
    logging.getLogger("library").warning("hm %s", "x")

    own, foreign = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (own["request_id"], own["namespace_id"], own["process"]) == ("req_1", "ns_1", "api")
    assert own["api_key"] == "***"
    assert foreign["event"] == "hm x"
    assert foreign["request_id"] == "req_1"


def test_quiet_events_are_left_out_when_the_level_is_higher(capsys):
    logs.configure(LogSettings(format="json", level="warning"), process="api")

    structlog.get_logger("x").info("done")

    assert capsys.readouterr().err == ""


def test_console_lines_are_plain_and_in_order_when_they_go_to_a_file(capsys):
    logs.configure(LogSettings(format="console"), process="api")

    structlog.get_logger("x").info("request", method="GET", path="/v1/me", status=200)

    written = capsys.readouterr().err
    assert "method=GET path=/v1/me status=200" in written
    assert "\x1b" not in written

"""Requests made from the description itself: whatever fits it, or nearly does, is never a fault of ours."""

from __future__ import annotations

import json
import os
import re
import time
from contextlib import suppress
from typing import Any
from urllib.parse import quote, unquote

import httpx2
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core import NOT_SET
from tests.contract.test_isolation import Ids, belongings
from tests.opened import Open, assert_envelope

# For the whole run, in equal shares: a new operation makes it thinner and not longer.
_BUDGET_SECONDS = float(os.environ.get("PRISMHOUSE_TEST_FUZZ_SECONDS", "30"))
_EXAMPLES = int(os.environ.get("PRISMHOUSE_TEST_FUZZ_EXAMPLES", "5"))


def operations(description: dict[str, Any]) -> list[Any]:
    """Return the described operations; those that delete come last."""
    loaded = schemathesis.openapi.from_dict(description)
    found = [result.ok() for result in loaded.get_all_operations()]
    return sorted(found, key=lambda operation: operation.method.lower() == "delete")


def cases(operation: Any) -> list[Any]:
    """Return examples that fit the description and examples that do not, the same ones on every run."""
    made: list[Any] = []
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

        @seed(1)
        @settings(
            max_examples=_EXAMPLES,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def collect(case: Any) -> None:
            made.append(case)

        with suppress(Unsatisfiable):  # an operation without parameters has nothing to get wrong
            collect()
    return made


def _text_of(part: object) -> str:
    """Return the text that stands in JSON for the bytes of a made file."""
    assert isinstance(part, bytes)
    return part.decode("latin-1")


async def send(client: httpx2.AsyncClient, case: Any, ids: Ids, *, real: bool) -> httpx2.Response:
    """Send a case, to things that exist when `real`; what it has for headers that no client can send is left out."""
    made = {name: unquote(str(value)) for name, value in (case.path_parameters or {}).items()}
    chosen = made | {name: ids[name] for name in made if real and name in ids}
    path = re.sub(r"\{([^}]+)\}", lambda found: quote(str(chosen.get(found[1], "x")), safe="") or "x", case.path)
    headers = {
        name: str(value)
        for name, value in (case.headers or {}).items()
        if name.lower() != "x-namespace" and str(value).isascii() and str(value).isprintable()
    }
    content = b"" if case.body is NOT_SET else json.dumps(case.body, default=_text_of).encode()
    query = {name: str(value) for name, value in (case.query or {}).items()}
    return await client.request(case.method, path, params=query, headers=headers, content=content)


def fault_of(answer: httpx2.Response) -> str | None:
    """Return what is wrong with an answer, if anything is."""
    if answer.status_code >= 500 and answer.status_code != 501:
        return answer.text
    if answer.status_code == 204 or answer.request.method == "HEAD":
        return None
    if answer.status_code == 200 and answer.request.url.path.endswith("/export"):
        return None if answer.headers["content-type"].startswith(("application/x-ndjson", "text/csv")) else answer.text
    if answer.headers.get("content-type") != "application/json":
        return f"content type {answer.headers.get('content-type')}"
    if answer.status_code >= 400:
        assert_envelope(answer, answer.status_code)
    return None


async def test_no_request_is_a_fault_of_ours_when_it_is_made_from_the_description(opened: Open) -> None:
    client = opened.client()
    ids = await belongings(client)
    description = (await client.get("/openapi.json")).json()
    described = operations(description)
    end = time.monotonic() + _BUDGET_SECONDS
    faults, sent = [], 0
    for place, operation in enumerate(described):
        share = (end - time.monotonic()) / (len(described) - place)
        deadline = time.monotonic() + share
        for number, case in enumerate(cases(operation)):
            if number and time.monotonic() > deadline:
                break
            answer = await send(client, case, ids, real=number % 4 > 0)
            sent += 1
            if fault := fault_of(answer):
                faults.append(f"{case.method} {answer.request.url} {answer.request.content[:500]!r}: {fault}")
    assert sent >= len(described)
    assert faults == []

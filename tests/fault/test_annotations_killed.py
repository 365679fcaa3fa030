"""kill -9 while annotations are changed in bulk: each call as a whole or not at all, with events and audit rows."""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from conditions import eventually
from tests.fault.flow import kill, victims

from prismhouse.storage.postgres.embedded import running_dsn

AT_ONCE = 100
CLIENTS = 4
# What stands or stood once, the changes told to webhooks, and those in the audit log: the same three times.
_COUNTED = """
WITH states AS (
  SELECT namespace_id, annotation_id, version, NULL::text[] AS changed, false AS ended FROM annotations
  UNION ALL SELECT namespace_id, annotation_id, version, changed, true FROM annotation_history
)
SELECT count(DISTINCT annotation_id), count(*) FILTER (WHERE ended AND changed IS NOT NULL),
  count(*) FILTER (WHERE ended AND changed IS NULL) FROM states WHERE namespace_id = %(namespace)s
"""
_TOLD = """
SELECT count(*) FILTER (WHERE event_type = 'annotation.created'),
  count(*) FILTER (WHERE event_type = 'annotation.updated'), count(*) FILTER (WHERE event_type = 'annotation.deleted')
FROM events WHERE namespace_id = %(namespace)s
"""
_AUDITED = """
SELECT count(*) FILTER (WHERE action = 'annotation_created'), count(*) FILTER (WHERE action = 'annotation_updated'),
  count(*) FILTER (WHERE action = 'annotation_deleted')
FROM audit_events WHERE namespace_id = %(namespace)s
"""
_CREATED = """
SELECT document_id, count(DISTINCT annotation_id) FROM (
  SELECT document_id, annotation_id, namespace_id FROM annotations
  UNION ALL SELECT document_id, annotation_id, namespace_id FROM annotation_history) AS a
WHERE namespace_id = %(namespace)s GROUP BY document_id
"""
_STANDING = "SELECT annotation_id, label FROM annotations WHERE namespace_id = %(namespace)s"


class Reviewers:
    """Clients that create, and edit and delete what they created before, until they are stopped."""

    def __init__(self, api):
        self.api = api
        self.stopped = threading.Event()
        self.calls, self.acknowledged = [], []

    def review(self, name):
        before = []
        number = 0
        while not self.stopped.is_set():
            number += 1
            call = f"{name}_{number}"
            body = {
                "create": [{"document_id": call, "label": "new"}] * AT_ONCE,
                "update": [{"annotation_id": one, "label": call} for one in before[::2]],
                "delete": before[1::2],
            }
            self.calls.append(call)
            before = []
            try:
                status, answer = self.api.call("POST", "/v1/annotations/bulk", body)
            except (OSError, http.client.HTTPException):
                continue
            # 500: the connection was lost during the commit, and it says that the change may be there.
            assert status in {200, 503} or "may be there or not" in str(answer), answer
            if status == 200:
                assert answer["failed_count"] == 0, answer
                before = [one["annotation_id"] for one in answer["results"][:AT_ONCE]]
                self.acknowledged.append((call, body, before))

    def wait_for_more(self, calls):
        enough = len(self.acknowledged) + calls
        eventually(lambda: len(self.acknowledged), until=lambda count: count >= enough)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", ["api", "postgres"])
def test_a_bulk_is_there_as_a_whole_or_not_at_all_when_a_process_is_killed(private_server, api_of, unique_name, kind):
    server = private_server()
    reviewers = Reviewers(api_of(server, unique_name))

    with ThreadPoolExecutor(CLIENTS) as pool:
        working = [pool.submit(reviewers.review, f"client{n}") for n in range(CLIENTS)]
        try:
            reviewers.wait_for_more(CLIENTS)
            kill(victims(server.process.pid, kind))
            reviewers.wait_for_more(CLIENTS)
        finally:
            reviewers.stopped.set()
        for work in working:
            work.result()

    asked = {"namespace": reviewers.api.namespace}
    with psycopg.connect(running_dsn(server.data_dir / "postgres")) as connection:
        counted, told, audited = (
            connection.execute(statement, asked).fetchone() for statement in (_COUNTED, _TOLD, _AUDITED)
        )
        created = Counter(dict(connection.execute(_CREATED, asked)))
        standing = dict(connection.execute(_STANDING, asked))
    assert counted == told == audited
    assert set(created) <= set(reviewers.calls)
    assert set(created.values()) == {AT_ONCE}
    for call, body, made in reviewers.acknowledged:
        assert created[call] == len(made)
        assert {standing[update["annotation_id"]] for update in body["update"]} <= {call}
        assert not set(body["delete"]) & set(standing)

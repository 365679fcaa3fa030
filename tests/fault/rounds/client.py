"""A client that loses its connections: it looks whether its change is there, and sends it again if it is not."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Sequence
from typing import Any

from tests.running import Api

__all__ = ["Client", "Impatient"]

_PATIENCE_SECONDS = 240.0
_PAUSE_SECONDS = 0.05


class Impatient(AssertionError):
    """The server did not do, within the deadline, what it must."""


class Client:
    """Verbs that end with an acknowledgement, whatever is killed meanwhile."""

    def __init__(self, api: Api, bucket: str = "") -> None:
        self.api = api
        self.bucket = bucket

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]] | None:
        """Send once; None when nobody knows what became of it."""
        try:
            status, answer = self.api.call(method, path, body)
        except (OSError, http.client.HTTPException, ValueError):
            return None
        # 503: nothing was stored. 500: the connection was lost during the commit, and it says so.
        if status == 503 or (status == 500 and "may be there or not" in str(answer)):
            return None
        return status, answer

    def read(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Read until somebody answers."""
        return self._until(path, lambda: self._found(method, path, body))

    def send(self, method: str, path: str, body: Any, there: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
        """Change something once: `there` says, after a call without an answer, whether it has been done."""
        asked = False

        def act() -> dict[str, Any] | None:
            nonlocal asked
            if asked and (known := there()) is not None:
                return known
            asked = True
            return self._found(method, path, body)

        return self._until(path, act)

    def pages(self, path: str) -> list[dict[str, Any]]:
        """Return all results of a list."""
        found: list[dict[str, Any]] = []
        body: dict[str, Any] = {"limit": 200}
        while True:
            page = self.read("POST", path, body)
            found += page["results"]
            cursor = (page.get("pagination") or page).get("next_cursor")
            if not cursor:
                return found
            body["cursor"] = cursor

    def objects(self, texts: dict[str, str], *, auto_process: bool = False) -> dict[str, str]:
        """Create an object for each named text; return ids by name. Their keys let a call be repeated."""
        objects = [
            {
                "name": name,
                "idempotency_key": f"{self.bucket}-{name}",
                "blobs": [{"property": "t", "type": "text", "data": text}],
            }
            for name, text in texts.items()
        ]
        at = f"/v1/buckets/{self.bucket}/objects/batch" + ("?auto_process=true" if auto_process else "")
        made = self.read("POST", at, {"objects": objects})
        assert not made["failed"], made["failed"]
        return {name: item["object_id"] for name, item in zip(texts, made["succeeded"], strict=True)}

    def batch(self, name: str, object_ids: Sequence[str], *, webhook_url: str | None = None, **more: Any) -> str:
        """Create a draft and submit it; return its id."""
        told = {} if webhook_url is None else {"webhook_url": webhook_url}
        at = f"/v1/buckets/{self.bucket}/batches"
        body = {"batch_name": name, "object_ids": list(object_ids), **more}
        batch_id = self.send("POST", at, body, lambda: self._batch_where(batch_name=name))["batch_id"]
        path = f"{at}/{batch_id}"
        self.send("POST", f"{path}/submit", told, lambda: self._when(path, lambda batch: batch["status"] != "DRAFT"))
        return str(batch_id)

    def batch_of(self, object_ids: Sequence[str]) -> str:
        """Return the batch that the server made of these objects by itself."""
        found = self._batch_where(batch_name=None, object_ids=list(object_ids))
        assert found is not None, f"no batch of {object_ids}"
        return str(found["batch_id"])

    def trigger(self, collection: str, object_ids: Sequence[str]) -> str:
        """Send objects through a collection and return their batch."""
        there = lambda: self._batch_where(batch_name=None, object_ids=list(object_ids))  # noqa: E731 - one expression
        path = f"/v1/collections/{collection}/trigger"
        return str(self.send("POST", path, {"object_ids": list(object_ids)}, there)["batch_id"])

    def cancel(self, batch_id: str) -> bool:
        """Cancel a batch; say False when it had ended before."""
        path = f"/v1/buckets/{self.bucket}/batches/{batch_id}"
        ended = lambda: self._when(path, lambda batch: batch["status"] not in {"QUEUED", "PROCESSING"})  # noqa: E731
        self._until(path, lambda: ended() or self._found("POST", f"{path}/cancel", None, but=400))
        return bool(self.read("GET", path)["status"] == "CANCELED")

    def again(self, batch_id: str, verb: str, body: dict[str, Any]) -> None:
        """Retry or resubmit a batch that has ended."""
        path = f"/v1/buckets/{self.bucket}/batches/{batch_id}"
        before = self.read("GET", path)["task_id"]
        there = lambda: self._when(path, lambda batch: batch["task_id"] != before)  # noqa: E731
        self.send("POST", f"{path}/{verb}", body, there)

    def wait(self, batch_id: str, until: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the batch when the condition is met."""
        path = f"/v1/buckets/{self.bucket}/batches/{batch_id}"
        return self._until(path, lambda: self._when(path, until))

    def _found(self, method: str, path: str, body: Any, *, but: int | None = None) -> dict[str, Any] | None:
        known = self.ask(method, path, body)
        assert known is None or known[0] in {200, 201, 202, but}, (method, path, known)
        return None if known is None else known[1]

    def _when(self, path: str, met: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
        batch = self.read("GET", path)  # no answer is not a no: whoever took it for one would send the change twice
        return batch if met(batch) else None

    def _batch_where(self, **wanted: Any) -> dict[str, Any] | None:
        results = self.pages(f"/v1/buckets/{self.bucket}/batches/list")
        found = [batch for batch in results if all(_same(batch[name], value) for name, value in wanted.items())]
        assert len(found) <= 1, f"made twice: {found}"
        return found[0] if found else None

    def _until(self, what: str, act: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while (answer := act()) is None:
            if time.monotonic() > deadline:
                raise Impatient(f"{what}: nothing within {_PATIENCE_SECONDS:.0f} s")
            time.sleep(_PAUSE_SECONDS)
        return answer


def _same(value: Any, wanted: Any) -> bool:
    return sorted(value) == sorted(wanted) if isinstance(wanted, list) else value == wanted

"""kill -9 between PUT and confirmation, and while uploads are confirmed: all become objects, none of them twice."""

from __future__ import annotations

import hashlib
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from conditions import eventually
from tests.fault.flow import kill, victims

COUNT = 100
ENDED = {"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED"}


class Uploads:
    """A hundred files that were put and not confirmed."""

    def __init__(self, api, count=COUNT):
        self.api = api
        schema = {"properties": {"raw": {"type": "binary"}}}
        bucket = api.ok("POST", "/v1/buckets", {"bucket_name": "b", "bucket_schema": schema})["bucket_id"]
        self.path = f"/v1/buckets/{bucket}"
        items = [{"filename": f"{n}.bin", "content_type": "application/octet-stream"} for n in range(count)]
        made = api.ok("POST", f"{self.path}/uploads/batch", {"uploads": items})["uploads"]
        self.ids = [upload["upload_id"] for upload in made]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: _put(made[n]["presigned_url"], b"%d" % n), range(count)))

    def confirm_all(self):
        """Have all confirmed; return the task."""
        items = [{"upload_id": upload_id} for upload_id in self.ids]
        return self.api.ok("POST", f"{self.path}/uploads/confirm/batch", {"confirmations": items})["task_id"]

    def check_end(self, task_id):
        """Wait for the end, and find each upload as one object."""
        task = eventually(
            lambda: self.api.ok_or_none("GET", f"/v1/tasks/{task_id}"),
            until=lambda found: found is not None and found["status"] in ENDED,
            timeout_seconds=90,
        )
        assert task["status"] == "COMPLETED", task
        self.check_objects([output["object_id"] for output in task["outputs"]])

    def check_objects(self, object_ids):
        """Find exactly these objects, one for each upload."""
        listed = self.api.pages(f"{self.path}/objects/list")
        assert sorted(item["object_id"] for item in listed) == sorted(object_ids)
        assert len({item["blobs"][0]["details"]["hash"] for item in listed}) == len(self.ids)
        assert self.api.ok("GET", self.path)["object_count"] == len(self.ids)
        uploads = self.api.ok("POST", f"{self.path}/uploads/list", {"limit": 100})["results"]
        assert {upload["status"] for upload in uploads} == {"COMPLETED"}


def _put(url, data):
    headers = {"Content-Type": "application/octet-stream"}
    urllib.request.urlopen(urllib.request.Request(url, data=data, method="PUT", headers=headers), timeout=60).close()


@pytest.mark.timeout(240)
def test_files_that_were_put_are_confirmed_when_everything_was_killed_before(private_server, api_of, unique_name):
    server = private_server()
    uploads = Uploads(api_of(server, unique_name), count=5)

    kill([server.process.pid, *victims(server.process.pid, "worker", "api", "postgres")])
    server.process.wait()
    uploads.api.server = private_server(data_dir=server.data_dir)

    confirmed = [uploads.api.ok("POST", f"/v1/uploads/{upload_id}/confirm") for upload_id in uploads.ids]
    uploads.check_objects([answer["object_id"] for answer in confirmed])


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kinds", [("worker",), ("worker", "api"), ("postgres",)], ids="-".join)
def test_a_batch_is_confirmed_exactly_once_when_processes_are_killed(private_server, api_of, unique_name, kinds):
    server = private_server()
    uploads = Uploads(api_of(server, unique_name))

    task_id = uploads.confirm_all()
    kill(victims(server.process.pid, *kinds))

    uploads.check_end(task_id)


@pytest.mark.timeout(240)
def test_a_batch_is_confirmed_exactly_once_when_files_are_in_a_bucket_and_processes_are_killed(
    object_storage, private_server, api_of, unique_name
):
    server = private_server(**object_storage.environment(unique_name))
    uploads = Uploads(api_of(server, unique_name))

    task_id = uploads.confirm_all()
    kill(victims(server.process.pid, "worker", "api"))

    uploads.check_end(task_id)
    stored = {key.rpartition("/")[2] for key in object_storage.keys(unique_name)}
    assert {hashlib.sha256(b"%d" % number).hexdigest() for number in range(COUNT)} <= stored


@pytest.mark.timeout(240)
def test_one_object_comes_of_a_confirmation_that_was_cut_off_and_repeated(private_server, api_of, unique_name):
    server = private_server()
    uploads = Uploads(api_of(server, unique_name), count=20)
    paths = [f"/v1/uploads/{upload_id}/confirm" for upload_id in uploads.ids]
    started = threading.Semaphore(0)

    def confirm(path):
        started.release()
        try:
            uploads.api.call("POST", path)
        except OSError:
            return

    with ThreadPoolExecutor(len(paths)) as pool:
        answers = [pool.submit(confirm, path) for path in paths]
        for _ in paths:
            started.acquire()
        kill(victims(server.process.pid, "api"))
        for answer in answers:
            answer.result()

    confirmed = [
        eventually(lambda path=path: uploads.api.ok_or_none("POST", path), until=lambda found: found is not None)
        for path in paths
    ]
    uploads.check_objects([answer["object_id"] for answer in confirmed])

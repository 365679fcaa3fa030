"""kill -9 between PUT and confirmation, and while a model is deployed: nothing that was acknowledged is lost."""

from __future__ import annotations

import hashlib
import threading
import urllib.request

import pytest
from conditions import eventually
from tests.fault.flow import kill, victims
from tests.model_archives import minilm_archive

pytestmark = pytest.mark.slow

ASKED = {"name": "mine", "version": "1.0.0", "model_format": "onnx"}


def put(url, data):
    headers = {"Content-Type": "application/gzip"}
    urllib.request.urlopen(urllib.request.Request(url, data=data, method="PUT", headers=headers), timeout=60).close()


@pytest.mark.timeout(240)
def test_a_model_is_confirmed_and_deployed_when_everything_is_killed_on_the_way(private_server, api_of, unique_name):
    server, data = private_server(), minilm_archive()
    api = api_of(server, unique_name)
    issued = api.ok("POST", "/v1/models/uploads", ASKED)
    put(issued["presigned_url"], data)

    kill([server.process.pid, *victims(server.process.pid, "worker", "api", "postgres")])
    server.process.wait()
    server = api.server = private_server(data_dir=server.data_dir)
    model = api.ok("POST", f"/v1/models/uploads/{issued['upload_id']}/confirm")["model_id"]
    assert api.ok("GET", f"/v1/models/{model}")["model"]["model_hash"] == hashlib.sha256(data).hexdigest()

    at = f"/v1/namespaces/{api.namespace}/models"
    api.ok("POST", f"{at}/org/{model}/enable", {})
    asking = threading.Thread(target=lambda: api.ok_or_none("POST", f"{at}/{model}/deploy"))
    asking.start()
    eventually(lambda: list((server.data_dir / "models" / "uploaded").glob("*")), until=bool)
    kill(victims(server.process.pid, "worker"))
    asking.join()

    found = eventually(
        lambda: api.ok_or_none("POST", f"{at}/{model}/deploy"),
        until=lambda answer: answer is not None and answer["deployment_status"] != "pending",
    )
    assert found["deployment_status"] == "deployed", found
    assert [one["deployed"] for one in api.ok("GET", at)["models"]] == [True]


@pytest.mark.timeout(240)
def test_one_model_comes_of_a_confirmation_that_was_cut_off_and_repeated(private_server, api_of, unique_name):
    server = private_server()
    api = api_of(server, unique_name)
    issued = api.ok("POST", "/v1/models/uploads", ASKED)
    put(issued["presigned_url"], minilm_archive())
    path = f"/v1/models/uploads/{issued['upload_id']}/confirm"
    asking = threading.Thread(target=lambda: api.ok_or_none("POST", path))

    asking.start()
    kill(victims(server.process.pid, "api"))
    asking.join()

    confirmed = eventually(lambda: api.ok_or_none("POST", path), until=bool)
    assert confirmed["validation_status"] == "passed"
    assert [one["model_id"] for one in api.ok("GET", "/v1/models")["models"]] == [confirmed["model_id"]]

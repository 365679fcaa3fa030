"""Models asked through the official client, of a running server."""

from __future__ import annotations

import base64
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mixpeek
import pytest
from mixpeek.exceptions import ApiException
from tests.photos import png

MODEL = "all_minilm_l6_v2_v1"
PAGE = Path(__file__).parents[2] / "docs" / "inference.md"


def test_the_official_client_asks_models_when_many_of_it_do_at_once(api_of: Any, server: Any) -> None:
    api = api_of(server, "asked")
    configuration = mixpeek.Configuration(host=server.base_url, access_token=server.api_key)
    with mixpeek.ApiClient(configuration) as client:
        client.set_default_header("X-Namespace", api.namespace)
        inference = mixpeek.InferenceApi(client)

        def ask(**body: Any) -> Any:
            return inference.execute_raw_inference(mixpeek.RawInferenceRequest(**body))

        with ThreadPoolExecutor(8) as clients:
            texts = [f"text {number}" for number in range(32)]
            rows = list(clients.map(lambda text: ask(inference_name=MODEL, inputs={"text": text}).data, texts))
        together = ask(inference_name=MODEL, inputs={"texts": texts}).data
        picture = {"image_base64": base64.b64encode(png("astronaut")).decode()}
        faces = ask(inference_name="face_identity_sface_v1", inputs=picture)
        with pytest.raises(ApiException) as refused:
            ask(provider="openai", model="gpt-4o", inputs={"prompts": ["hello"]})

    assert rows == [pytest.approx(row, abs=1e-5) for row in together]
    assert len(faces.data) == 1
    assert refused.value.status == 404
    assert "PRISMHOUSE_INFERENCE__MODELS_FILE" in str(refused.value.body)


def test_the_documented_call_works_when_it_is_typed(api_of: Any, server: Any) -> None:
    api = api_of(server, "documented")
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    code = code.replace("http://127.0.0.1:8080", server.base_url).replace("my-namespace", api.namespace)
    names: dict[str, Any] = {"KEY": server.api_key}

    exec(code, names)

    names["client"].__exit__(None, None, None)
    assert [len(row) for row in names["vectors"]] == [384, 384]

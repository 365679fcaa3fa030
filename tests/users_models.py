"""What a user does with a model of their own, as calls: uploaded, deployed, named by a collection."""

from __future__ import annotations

import urllib.request
from typing import Any

from tests.model_archives import minilm_archive

__all__ = ["collection_with", "deployed", "put", "uploaded"]


def put(url: str, data: bytes, content_type: str) -> None:
    """Send a file to where a link says."""
    request = urllib.request.Request(url, data=data, method="PUT", headers={"Content-Type": content_type})
    urllib.request.urlopen(request, timeout=60).close()


def uploaded(api: Any, data: bytes, name: str) -> dict[str, Any]:
    """Upload a model of the organization; return what came of it."""
    body = {"name": name, "version": "1.0.0", "model_format": "onnx", "file_size_bytes": len(data)}
    issued = api.ok("POST", "/v1/models/uploads", body)
    put(issued["presigned_url"], data, issued["required_content_type"])
    return api.ok("POST", f"/v1/models/uploads/{issued['upload_id']}/confirm", {})


def collection_with(model: str, bucket: str) -> dict[str, Any]:
    """Return the body of a collection of texts that the model embeds."""
    return {
        "collection_name": "own",
        "source": {"type": "bucket", "bucket_ids": [bucket]},
        "feature_extractor": {
            "feature_extractor_name": "text_extractor",
            "version": "v1",
            "input_mappings": {"text": "text"},
            "parameters": {"embedding_model": model},
        },
    }


def deployed(api: Any, name: str) -> str:
    """Upload MiniLM as a user's model, and deploy it in the namespace; return its id."""
    model: str = uploaded(api, minilm_archive(), name)["model_id"]
    at = f"/v1/namespaces/{api.namespace}/models"
    api.ok("POST", f"{at}/org/{model}/enable", {})
    answer = api.ok("POST", f"{at}/{model}/deploy")
    assert answer["deployment_status"] == "deployed", answer
    return model

"""The story of the demo, told in the product's words: each function is one of them.

Files become objects in buckets; batches send them through collections, which make documents of them;
retrievers find documents again.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prismhouse.cli.demo import material
from prismhouse.cli.demo.excerpt import excerpt
from prismhouse.cli.demo.faults import DemoFailed
from prismhouse.cli.demo.house import House
from prismhouse.cli.demo.questions import QUESTIONS, Question
from prismhouse.cli.demo.screen import Hit, Screen

__all__ = ["Outcome", "run_flow"]

BATCH_TIMEOUT_SECONDS = 150.0
POLL_SECONDS = 0.2
ANSWERS_SHOWN = 3
TERMINAL_STATES = {"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"}
Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a retriever of the demo searches: one of the vectors that a collection's documents have."""

    where: str
    collection: str
    query: Json
    vector: int = 0


BY_TEXT = {"input_mode": "text", "value": "{{INPUT.query}}"}
BY_DOCUMENT = {
    "input_mode": "document",
    "document_ref": {"collection_id": "{{INPUT.collection_id}}", "document_id": "{{INPUT.document_id}}"},
}
SEARCHES = {
    "ask-texts": Search(where="the texts", collection="passages", query=BY_TEXT),
    "ask-photos": Search(where="the photos", collection="pictures", query=BY_TEXT),
    "ask-both": Search(where="photos and notes", collection="scrapbook", query=BY_TEXT),
    "look-alikes": Search(where="the photos, by their looks", collection="pictures", query=BY_DOCUMENT, vector=1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the demo made, for the next steps."""

    namespace_name: str
    namespace_id: str


def run_flow(house: House, screen: Screen) -> Outcome:
    """Do the product's main job once, from nothing to answers; raise DemoFailed when a step fails."""
    screen.title("Prismhouse: files in, answers out. All of it runs on this machine.\n")
    start(house, screen)
    namespace_name, namespace_id = make_namespace(house, screen)
    buckets = make_buckets(house, screen)
    objects = add_objects(house, screen, buckets)
    feature_uris = make_collections(house, screen, buckets)
    run_batches(house, screen, buckets, objects)
    make_retrievers(house, screen, feature_uris)
    for question in QUESTIONS:
        ask(house, screen, question)
    screen.note(f"All of it took {screen.total()}.")
    return Outcome(namespace_name=namespace_name, namespace_id=namespace_id)


def start(house: House, screen: Screen) -> None:
    """Start a server of its own."""
    with screen.step("Server", "`prismhouse serve`, with a PostgreSQL of its own inside") as step:
        house.start()
        step.result = house.url


def make_namespace(house: House, screen: Screen) -> tuple[str, str]:
    """Make the namespace and go into it."""
    name = time.strftime("demo-%Y%m%d-%H%M%S")
    extractors = [
        {"feature_extractor_name": f"{kind}_extractor", "version": "v1"} for kind in ("text", "image", "multimodal")
    ]
    with screen.step("Namespace", "keeps everything of one project apart from the rest") as step:
        made = house.post("/namespaces", {"namespace_name": name, "feature_extractors": extractors})
        house.enter(made["namespace_id"])
        step.result = name
    return name, made["namespace_id"]


def make_buckets(house: House, screen: Screen) -> dict[str, str]:
    """Make one bucket for each kind of file; return their ids by name."""
    schemas: dict[str, Json] = {
        "library": {"content": {"type": "text", "required": True}, "file": {"type": "string"}},
        "album": {"photo": {"type": "image", "required": True}, "note": {"type": "text"}, "file": {"type": "string"}},
    }
    with screen.step("Buckets", "hold raw files, and say which kinds they take") as step:
        made = {
            name: house.post("/buckets", {"bucket_name": name, "bucket_schema": {"properties": properties}})
            for name, properties in schemas.items()
        }
        step.result = "library (text), album (image + text)"
    return {name: bucket["bucket_id"] for name, bucket in made.items()}


def add_objects(house: House, screen: Screen, buckets: Mapping[str, str]) -> dict[str, list[str]]:
    """Send the files; return the ids of the objects by bucket name."""
    with screen.step("Objects", "are files with their fields") as step:
        texts, photos = material.texts(), material.photos()
        sent = {"library": [_text_object(text) for text in texts], "album": [_photo_object(photo) for photo in photos]}
        made = {name: _send(house, buckets[name], objects) for name, objects in sent.items()}
        step.result = f"{len(texts)} texts of scikit-learn, {len(photos)} photos of scikit-image and scikit-learn"
    return made


def make_collections(house: House, screen: Screen, buckets: Mapping[str, str]) -> dict[str, list[str]]:
    """Declare what is to be made of the objects; return the addresses of the vectors, by collection name."""
    recipes: dict[str, tuple[str, str, Json, Json]] = {
        "passages": (
            "library",
            "text_extractor",
            {"text": "content"},
            {"split_by": "sentences", "chunk_size": 3, "chunk_overlap": 1},
        ),
        "pictures": ("album", "image_extractor", {"image": "photo"}, {}),
        "scrapbook": ("album", "multimodal_extractor", {"image": "photo", "text": "note"}, {}),
    }
    with screen.step("Collections", "say what a feature extractor makes of a bucket's objects") as step:
        made = {
            name: house.post("/collections", _collection(name, buckets[bucket], extractor, inputs, parameters))
            for name, (bucket, extractor, inputs, parameters) in recipes.items()
        }
        step.result = ", ".join(f"{name} ({extractor})" for name, (_, extractor, _, _) in recipes.items())
    return {name: [index["feature_uri"] for index in each["vector_indexes"]] for name, each in made.items()}


def run_batches(house: House, screen: Screen, buckets: Mapping[str, str], objects: Mapping[str, Sequence[str]]) -> None:
    """Send all objects through their collections and follow them; raise DemoFailed unless all is COMPLETED."""
    with screen.step("Batches", "send objects through the collections and write documents", bars=True) as step:
        paths = {}
        for name, ids in objects.items():
            batches = f"/buckets/{buckets[name]}/batches"
            paths[name] = f"{batches}/{house.post(batches, {'object_ids': list(ids)})['batch_id']}"
            house.post(f"{paths[name]}/submit")
        done = _follow(house, screen, paths, objects)
        written = {name: batch["documents_written"] for name, batch in done.items()}
        step.result = ", ".join(f"{count} documents from {name}" for name, count in written.items())


def make_retrievers(house: House, screen: Screen, feature_uris: Mapping[str, Sequence[str]]) -> None:
    """Store the searches under names."""
    with screen.step("Retrievers", "are stored searches: stages that find, filter and sort documents") as step:
        for name, search in SEARCHES.items():
            house.post("/retrievers", _retriever(name, search, feature_uris[search.collection][search.vector]))
        step.result = ", ".join(SEARCHES)


def ask(house: House, screen: Screen, question: Question) -> None:
    """Ask one question and show the best answers; raise DemoFailed when there are none."""
    search = SEARCHES[question.retriever]
    inputs = _document_of(house, search, question.like) if question.like else {"query": question.text}
    began = time.monotonic()
    answer = house.post(f"/retrievers/{question.retriever}/execute", {"inputs": inputs})
    screen.question(search.where, question.text, time.monotonic() - began)
    documents = [each for each in answer["documents"] if each["document_id"] != inputs.get("document_id")]
    if not documents:
        raise DemoFailed(f"No answer to: {question.text}")
    for rank, document in enumerate(documents[:ANSWERS_SHOWN], start=1):
        found = excerpt(document, question.text)
        screen.hit(Hit(rank=rank, score=document["score"], file=document["file"], excerpt=found))


def _text_object(text: material.Text) -> Json:
    return {"file": text.file, "blobs": [{"property": "content", "type": "text", "data": text.content}]}


def _photo_object(photo: material.Photo) -> Json:
    data = {
        "base64": base64.b64encode(photo.data).decode(),
        "mime_type": photo.mime_type,
        "filename": photo.file,
    }
    blobs: list[Json] = [{"property": "photo", "type": "image", "data": data}]
    if photo.note:
        blobs.append({"property": "note", "type": "text", "data": photo.note})
    return {"file": photo.file, "blobs": blobs}


def _send(house: House, bucket_id: str, objects: list[Json]) -> list[str]:
    answer = house.post(f"/buckets/{bucket_id}/objects/batch", {"objects": objects})
    if answer["failed"]:
        raise DemoFailed(f"The bucket refused a file: {answer['failed'][0]['error']}")
    return [made["object_id"] for made in answer["succeeded"]]


def _collection(name: str, bucket_id: str, extractor: str, inputs: Json, parameters: Json) -> Json:
    return {
        "collection_name": name,
        "source": {"type": "bucket", "bucket_ids": [bucket_id]},
        "feature_extractor": {
            "feature_extractor_name": extractor,
            "version": "v1",
            "input_mappings": inputs,
            "parameters": parameters,
            "field_passthrough": [{"source_path": "file"}],
        },
    }


def _follow(
    house: House, screen: Screen, paths: Mapping[str, str], objects: Mapping[str, Sequence[str]]
) -> dict[str, Json]:
    deadline = time.monotonic() + BATCH_TIMEOUT_SECONDS
    with screen.progress() as show:
        while time.monotonic() < deadline:
            batches = {name: house.get(path) for name, path in paths.items()}
            show({name: (_processed(batch, len(objects[name])), len(objects[name])) for name, batch in batches.items()})
            if all(batch["status"] in TERMINAL_STATES for batch in batches.values()):
                break
            time.sleep(POLL_SECONDS)
    for name, batch in batches.items():
        if batch["status"] != "COMPLETED":
            reason = batch.get("failure_reason") or batch.get("status_message") or "no reason given"
            raise DemoFailed(f"The batch of {name} is {batch['status']}: {reason}")
    return batches


def _processed(batch: Json, total: int) -> int:
    if batch["status"] == "COMPLETED":
        return total
    return int(((batch.get("progress") or {}).get("percent") or 0) * total / 100)


def _document_of(house: House, search: Search, file: str) -> Json:
    """Return the inputs that name the document made of a file."""
    listed = house.post(f"/collections/{search.collection}/documents/list", {"filters": {"file": file}})
    if not listed["results"]:
        raise DemoFailed(f"No document of {file} in {search.collection}.")
    document = listed["results"][0]
    return {"collection_id": document["collection_id"], "document_id": document["document_id"]}


def _retriever(name: str, search: Search, feature_uri: str) -> Json:
    inputs = ("query",) if search.query is BY_TEXT else ("collection_id", "document_id")
    parameters = {"searches": [{"feature_uri": feature_uri, "query": search.query}], "final_top_k": 10}
    return {
        "retriever_name": name,
        "collection_identifiers": [search.collection],
        "input_schema": {each: {"type": "string", "required": True} for each in inputs},
        "stages": [{"stage_name": "search", "config": {"stage_id": "feature_search", "parameters": parameters}}],
    }

"""What every Staging and every BlobLinks does, over real HTTP. A new adapter joins in tests/object_storage.py."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.object_storage import STORAGES, Reply, Storage, opened, send

from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.blobs.port import BlobMissing
from prismhouse.storage.blobs.staging import StagedFileChanged, StagedFileMissing

ORGANIZATION = "org_one"
ONE = NamespaceId("ns_one")
TWO = NamespaceId("ns_two")
PNG = "image/png"
DATA = b"\x89PNG not really" * 100


@pytest.fixture(params=STORAGES)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    with opened(request, tmp_path) as storage:
        yield storage


def key_of(filename: str, *, namespace: str = ONE, upload: str = "upl_1") -> str:
    return f"{ORGANIZATION}/{namespace}/api_buckets_uploads_create/{upload}/{filename}"


def put(storage: Storage, key: str, data: bytes = DATA, *, content_type: str = PNG, **headers: str) -> Reply:
    url = storage.staging.put_url(key, content_type=content_type, size_bytes=None, expires_in_seconds=600)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return send("PUT", url, data, {"Content-Type": content_type, **given})


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


async def test_a_file_that_was_put_is_found_with_its_quoted_md5_as_etag(storage: Storage) -> None:
    key = key_of("photo.png")

    reply = put(storage, key)

    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["etag"] == f'"{md5(DATA)}"'
    found = await storage.staging.find(key)
    assert found is not None
    assert (found.key, found.size_bytes, found.etag, found.content_type) == (key, len(DATA), md5(DATA), PNG)
    assert await storage.staging.head(key, size_bytes=4) == DATA[:4]
    assert await storage.staging.head(key, size_bytes=10**6) == DATA


async def test_nothing_is_found_when_nothing_was_put(storage: Storage) -> None:
    assert await storage.staging.find(key_of("a")) is None
    with pytest.raises(StagedFileMissing):
        await storage.staging.head(key_of("a"), size_bytes=4)
    with pytest.raises(StagedFileMissing):
        await storage.staging.adopt(ONE, key_of("a"), etag=md5(b""))
    await storage.staging.discard(key_of("a"))
    await storage.staging.discard_namespace(ORGANIZATION, ONE)


NAMES = ["two words.png", "Grüße 写真 🏔.png", "..", "../../../etc/passwd", "a&b=c+d%2F?#;x.png", "~'()*!$,:@.png"]


@pytest.mark.parametrize("name", [*NAMES, pytest.param("long", id="1024 bytes")])
async def test_any_key_is_taken_as_it_is(storage: Storage, name: str) -> None:
    key = key_of(name)
    if name == "long":
        key = key_of("x" * (1024 - len(key_of(""))))
        assert len(key.encode()) == 1024

    assert put(storage, key).status == 200

    found = await storage.staging.find(key)
    assert found is not None
    assert found.key == key
    listed = [known async for page in storage.staging.keys(older_than_seconds=-60) for known in page]
    assert listed == ([key] if len(key.encode()) <= storage.listed_key_bytes else [])
    stored = await storage.staging.adopt(ONE, key, etag=found.etag)
    assert await storage.blobs.read(ONE, stored.sha256) == DATA
    await storage.staging.discard(key)
    assert await storage.staging.find(key) is None


async def test_a_put_is_refused_when_the_type_is_another_one(storage: Storage) -> None:
    key = key_of("a.png")
    url = storage.staging.put_url(key, content_type=PNG, size_bytes=None, expires_in_seconds=600)

    assert send("PUT", url, DATA, {"Content-Type": "text/html"}).status == 403
    assert send("PUT", url, DATA).status == 403
    assert await storage.staging.find(key) is None
    assert send("PUT", url, DATA, {"Content-Type": PNG}).status == 200


async def test_a_put_is_refused_when_the_length_is_another_one(storage: Storage) -> None:
    key = key_of("a.png")
    url = storage.staging.put_url(key, content_type=PNG, size_bytes=len(DATA), expires_in_seconds=600)

    assert send("PUT", url, DATA + b"x", {"Content-Type": PNG}).status == 403
    assert send("PUT", url, DATA[:-1], {"Content-Type": PNG}).status == 403
    assert await storage.staging.find(key) is None
    assert send("PUT", url, DATA, {"Content-Type": PNG}).status == 200


async def test_a_url_is_refused_when_the_method_is_another_one(storage: Storage) -> None:
    key = key_of("a.png")
    put_url = storage.staging.put_url(key, content_type=PNG, size_bytes=None, expires_in_seconds=600)
    assert put(storage, key).status == 200
    stored = await storage.staging.adopt(ONE, key, etag=md5(DATA))
    get_url = link(storage, stored.sha256)

    assert send("GET", put_url).status == 403
    assert send("HEAD", put_url).status == 403
    assert send("DELETE", put_url).status == 403
    assert send("PUT", get_url, b"x", {"Content-Type": PNG}).status == 403
    assert send("DELETE", get_url).status == 403
    assert send("GET", get_url).body == DATA


async def test_a_url_is_refused_when_anything_in_it_was_changed(storage: Storage) -> None:
    key = key_of("a.png")
    url = storage.staging.put_url(key, content_type=PNG, size_bytes=None, expires_in_seconds=600)
    path, _, query = url.partition("?")
    pairs = query.split("&")

    for number, pair in enumerate(pairs):
        name, _, value = pair.partition("=")
        other = value[:-1] + ("1" if value[-1:] != "1" else "2")
        changed = [*pairs[:number], f"{name}={other}", *pairs[number + 1 :]]
        assert send("PUT", f"{path}?{'&'.join(changed)}", DATA, {"Content-Type": PNG}).status in {400, 403}, name
        dropped = [*pairs[:number], *pairs[number + 1 :]]
        assert send("PUT", f"{path}?{'&'.join(dropped)}", DATA, {"Content-Type": PNG}).status in {400, 403}, name
    assert send("PUT", path, DATA, {"Content-Type": PNG}).status in {400, 403}

    assert await storage.staging.find(key) is None


async def test_a_url_is_refused_when_it_has_expired(storage: Storage) -> None:
    put_url = storage.staging.put_url(key_of("a"), content_type=PNG, size_bytes=None, expires_in_seconds=1)
    stored = await storage.blobs.put(ONE, DATA)
    get_url = link(storage, stored.sha256, expires_in_seconds=1)

    await expire(storage, get_url)

    assert send("PUT", put_url, DATA, {"Content-Type": PNG}).status == 403
    assert send("GET", get_url).status == 403
    assert send("HEAD", get_url).status == 403
    assert await storage.staging.find(key_of("a")) is None


async def test_content_md5_is_compared_with_what_arrived(storage: Storage) -> None:
    right = base64.b64encode(hashlib.md5(DATA).digest()).decode()
    wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()

    assert put(storage, key_of("a"), Content_MD5=wrong).status == 400
    assert await storage.staging.find(key_of("a")) is None
    assert put(storage, key_of("a"), Content_MD5=right).status == 200


async def test_a_file_is_not_replaced_when_the_client_asks_for_a_new_one(storage: Storage) -> None:
    key = key_of("a")

    assert put(storage, key, b"first", If_None_Match="*").status == 200
    assert put(storage, key, b"second", If_None_Match="*").status == 412

    found = await storage.staging.find(key)
    assert found is not None
    assert found.etag == md5(b"first")


async def test_bytes_and_what_is_said_of_them_change_together_when_a_file_is_put_again(storage: Storage) -> None:
    key = key_of("a")
    put(storage, key, b"first")
    adopted = await storage.staging.adopt(ONE, key, etag=md5(b"first"))

    put(storage, key, b"the second one")

    found = await storage.staging.find(key)
    assert found is not None
    assert (found.size_bytes, found.etag) == (14, md5(b"the second one"))
    assert await storage.staging.head(key, size_bytes=99) == b"the second one"
    assert await storage.blobs.read(ONE, adopted.sha256) == b"first"
    with pytest.raises(StagedFileChanged):
        await storage.staging.adopt(ONE, key, etag=md5(b"first"))


async def test_adopting_can_be_repeated_until_the_file_is_discarded(storage: Storage) -> None:
    key = key_of("a")
    put(storage, key)

    first = await storage.staging.adopt(ONE, key, etag=md5(DATA))
    second = await storage.staging.adopt(ONE, key, etag=md5(DATA))
    await storage.staging.discard(key)

    assert first == second
    assert (first.sha256, first.size_bytes) == (hashlib.sha256(DATA).hexdigest(), len(DATA))
    assert await storage.blobs.read(ONE, first.sha256) == DATA
    with pytest.raises(StagedFileMissing):
        await storage.staging.adopt(ONE, key, etag=md5(DATA))


async def test_equal_files_become_one_blob_in_a_namespace_and_none_in_another(storage: Storage) -> None:
    put(storage, key_of("a"))
    put(storage, key_of("b", upload="upl_2"))
    already = await storage.blobs.put(ONE, DATA)

    first = await storage.staging.adopt(ONE, key_of("a"), etag=md5(DATA))
    second = await storage.staging.adopt(ONE, key_of("b", upload="upl_2"), etag=md5(DATA))

    assert first.sha256 == second.sha256 == already.sha256
    with pytest.raises(BlobMissing):
        await storage.blobs.read(TWO, first.sha256)


async def test_an_empty_file_can_be_put_and_adopted(storage: Storage) -> None:
    assert put(storage, key_of("a"), b"").status == 200

    stored = await storage.staging.adopt(ONE, key_of("a"), etag=md5(b""))

    assert stored.size_bytes == 0
    assert await storage.blobs.read(ONE, stored.sha256) == b""


async def test_discarding_a_namespace_leaves_those_of_others(storage: Storage) -> None:
    here, there = key_of("a"), key_of("a", namespace=TWO)
    put(storage, here)
    put(storage, there)

    await storage.staging.discard_namespace(ORGANIZATION, ONE)

    assert await storage.staging.find(here) is None
    assert await storage.staging.find(there) is not None


async def test_keys_are_listed_when_they_are_old_enough(storage: Storage) -> None:
    wanted = {key_of(f"{number}.png", upload=f"upl_{number}") for number in range(12)}
    for key in wanted:
        put(storage, key, b"x")

    assert {key async for page in storage.staging.keys(older_than_seconds=-60) for key in page} == wanted
    assert [page async for page in storage.staging.keys(older_than_seconds=3600)] == []


def link(
    storage: Storage,
    sha256: str,
    *,
    content_type: str | None = PNG,
    filename: str | None = None,
    expires_in_seconds: int = 600,
    namespace: NamespaceId = ONE,
) -> str:
    return storage.links.get_url(
        namespace, sha256, content_type=content_type, filename=filename, expires_in_seconds=expires_in_seconds
    )


async def expire(storage: Storage, url: str) -> None:
    """Return when a URL of one second has expired."""
    if storage.pass_time is not None:
        storage.pass_time(2)
        return
    from conditions import eventually

    eventually(lambda: send("GET", url).status, until=lambda status: status == 403, timeout_seconds=10)


async def test_a_link_answers_get_and_head_with_the_bytes(storage: Storage) -> None:
    stored = await storage.blobs.put(ONE, DATA)
    url = link(storage, stored.sha256)

    whole, head = send("GET", url), send("HEAD", url)

    assert (whole.status, whole.body) == (200, DATA)
    assert (head.status, head.body) == (200 if storage.head_links else 403, b"")
    for reply in (whole, head) if storage.head_links else (whole,):
        assert reply.headers["content-length"] == str(len(DATA))
        assert reply.headers["content-type"] == PNG
        assert reply.headers["accept-ranges"] == "bytes"
        assert reply.headers["etag"]
        assert reply.headers["last-modified"]


async def test_a_link_is_404_when_the_bytes_are_gone(storage: Storage) -> None:
    stored = await storage.blobs.put(ONE, DATA)
    url = link(storage, stored.sha256)
    await storage.blobs.delete(ONE, stored.sha256)

    assert send("GET", url).status == 404
    assert send("HEAD", url).status == (404 if storage.head_links else 403)


@pytest.mark.parametrize(
    ("wanted", "part", "content_range"),
    [
        ("bytes=0-0", b"0", "bytes 0-0/10"),
        ("bytes=2-5", b"2345", "bytes 2-5/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=7-99", b"789", "bytes 7-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-99", b"0123456789", "bytes 0-9/10"),
    ],
)
async def test_a_range_is_answered_with_206(storage: Storage, wanted: str, part: bytes, content_range: str) -> None:
    stored = await storage.blobs.put(ONE, b"0123456789")

    reply = send("GET", link(storage, stored.sha256), headers={"Range": wanted})

    assert (reply.status, reply.body) == (206, part)
    assert reply.headers["content-range"] == content_range
    assert reply.headers["content-length"] == str(len(part))


async def test_a_range_is_416_when_it_begins_behind_the_end(storage: Storage) -> None:
    stored = await storage.blobs.put(ONE, b"0123456789")

    reply = send("GET", link(storage, stored.sha256), headers={"Range": "bytes=10-"})

    assert reply.status == 416


async def test_conditions_are_kept(storage: Storage) -> None:
    stored = await storage.blobs.put(ONE, DATA)
    url = link(storage, stored.sha256)
    first = send("GET", url)
    etag, modified = first.headers["etag"], first.headers["last-modified"]

    assert send("GET", url, headers={"If-None-Match": etag}).status == 304
    assert send("GET", url, headers={"If-None-Match": '"other"'}).status == 200
    assert send("GET", url, headers={"If-Match": etag}).status == 200
    assert send("GET", url, headers={"If-Match": '"other"'}).status == 412
    assert send("GET", url, headers={"If-Modified-Since": modified}).status == 304
    assert send("GET", url, headers={"If-Unmodified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"}).status == 412


@pytest.mark.parametrize("filename", ["photo.png", 'a "quoted" name.png', "Grüße 写真.png", "a\r\nSet-Cookie: x=1.png"])
async def test_a_link_names_the_file(storage: Storage, filename: str) -> None:
    stored = await storage.blobs.put(ONE, DATA)

    reply = send("GET", link(storage, stored.sha256, filename=filename))

    assert reply.status == 200
    assert "filename" in reply.headers["content-disposition"]
    assert "set-cookie" not in reply.headers

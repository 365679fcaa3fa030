"""From settings and AWS variables to a place, and from staged keys to object names and back."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from prismhouse.server.adapters import AdapterNotBuilt, ExtraMissing, check_adapters
from prismhouse.settings import BlobSettings, Settings
from prismhouse.storage.blobs.s3 import PlaceMalformed, place_of
from prismhouse.storage.blobs.s3.keys import key_of, name_of
from prismhouse.storage.blobs.s3.sigv4 import Credentials, presign

AWS = {"AWS_ACCESS_KEY_ID": "AKENV", "AWS_SECRET_ACCESS_KEY": "env-secret", "AWS_SESSION_TOKEN": "env-token"}


def settings(url: str = "s3://bucket/some/prefix", **more: Any) -> BlobSettings:
    return BlobSettings(url=url, **more)


def test_amazon_is_reached_by_region_when_no_endpoint_is_set():
    place = place_of(settings(region="eu-central-1"), {})

    assert (place.bucket, place.prefix, place.path_style) == ("bucket", "some/prefix", False)
    assert place.base == place.public_base == "https://bucket.s3.eu-central-1.amazonaws.com"
    assert place.credentials is None
    assert place.key("blobs", "x") == "some/prefix/blobs/x"
    assert place_of(settings("s3://bucket"), {}).key("blobs") == "blobs"


def test_a_bucket_with_dots_stands_in_the_path_when_nothing_else_is_said():
    assert place_of(settings("s3://a.b"), {}).base == "https://s3.us-east-1.amazonaws.com/a.b"


def test_an_endpoint_has_the_bucket_in_its_path_unless_told_otherwise():
    minio = place_of(settings(endpoint="http://minio:9000/", public_endpoint="https://files.example:443/s3"), {})
    hosted = place_of(settings(endpoint="https://objects.example", path_style=False), {})

    assert (minio.base, minio.public_base) == ("http://minio:9000/bucket", "https://files.example/s3/bucket")
    assert hosted.base == "https://bucket.objects.example"


def test_aws_variables_are_used_where_settings_are_silent():
    environment = {**AWS, "AWS_DEFAULT_REGION": "ap-south-1", "AWS_ENDPOINT_URL": "https://one.example"}

    place = place_of(settings(), environment)
    own = place_of(settings(access_key_id="AKOWN", secret_access_key=SecretStr("own-secret")), environment)

    assert (place.region, place.base) == ("ap-south-1", "https://one.example/bucket")
    assert place.credentials == Credentials(
        access_key_id="AKENV", secret_access_key="env-secret", session_token="env-token"
    )
    assert own.credentials == Credentials(access_key_id="AKOWN", secret_access_key="own-secret")
    assert "secret" not in repr(place).replace("secret_access_key", "")


@pytest.mark.parametrize(
    ("given", "variable"),
    [
        ({"url": "s3://"}, "URL"),
        ({"url": "s3://AKID:hidden@bucket/x"}, "URL"),
        ({"url": "s3://bucket/x?secret=hidden"}, "URL"),
        ({"url": "s3://bucket/a/../b"}, "URL"),
        ({"url": "s3://bucket/a//b"}, "URL"),
        ({"endpoint": "minio:9000"}, "ENDPOINT"),
        ({"endpoint": "http://x:port"}, "ENDPOINT"),
        ({"endpoint": "http://u:hidden@minio"}, "ENDPOINT"),
        ({"public_endpoint": "ftp://x"}, "PUBLIC_ENDPOINT"),
        ({"access_key_id": "AK"}, "SECRET_ACCESS_KEY"),
        ({"secret_access_key": "hidden"}, "ACCESS_KEY_ID"),
    ],
)
def test_a_malformed_setting_is_named_and_its_secret_is_not(given: dict[str, Any], variable: str):
    with pytest.raises(PlaceMalformed) as raised:
        place_of(settings(**given), {})

    assert f"PRISMHOUSE_BLOBS__{variable} " in raised.value.message
    assert "hidden" not in raised.value.message


def test_the_extra_is_named_when_its_package_is_missing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "obstore", None)

    with pytest.raises(ExtraMissing, match=r"pip install 'prismhouse\[s3\]'"):
        check_adapters(Settings(blobs=settings()))


@pytest.mark.parametrize("url", ["gs://bucket", "az://container", "https://bucket.example", "bucket"])
def test_other_storage_is_not_built_yet(url: str):
    with pytest.raises(AdapterNotBuilt, match="s3://bucket/prefix"):
        check_adapters(Settings(blobs=settings(url)))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), max_size=300), min_size=1))
def test_any_key_comes_back_from_its_object_name(parts: list[str]):
    key = "/".join(parts)

    name = name_of(key, room_bytes=10**6)

    assert key_of(name) == key
    for part in name.split("/"):
        assert part not in {"", ".", ".."}
        assert len(part.encode()) <= 255
        assert part.isprintable() or not any(ord(letter) < 32 for letter in part)


def test_a_key_without_room_keeps_its_owners_and_a_hash():
    name = name_of("org/ns_1/" + "x" * 1015, room_bytes=1000)

    assert name.startswith("org/ns_1/~")
    assert key_of(name) is None
    assert name != name_of("org/ns_1/" + "x" * 1014 + "y", room_bytes=1000)


def test_a_signature_is_that_of_the_published_example():
    url = presign(
        "GET",
        "https://examplebucket.s3.amazonaws.com/test.txt",
        credentials=Credentials(
            access_key_id="AKIAIOSFODNN7EXAMPLE", secret_access_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
        ),
        region="us-east-1",
        now=datetime(2013, 5, 24, tzinfo=UTC),
        expires_in_seconds=86400,
    )

    signature = parse_qs(urlsplit(url).query)["X-Amz-Signature"]
    assert signature == ["aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"]

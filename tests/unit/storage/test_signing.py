"""Signed queries, and the keys that several processes share."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from prismhouse.storage.blobs.signing import LinkExpired, LinkForOtherMethod, LinkTampered, Signer
from prismhouse.storage.blobs.signing_keys import LONGEST_URL_SECONDS, SigningKeys

DAY = 86_400
PARAMETERS = {"key": "a/b", "content_type": "image/png"}


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(tmp_path: Path, clock: Clock) -> SigningKeys:
    return SigningKeys(tmp_path / "data" / "signing-keys.json", clock=clock)


@pytest.fixture
def signer(keys: SigningKeys, clock: Clock) -> Signer:
    return Signer(keys, clock=clock)


def test_a_signed_query_gives_its_parameters_back(signer: Signer) -> None:
    query = signer.sign("PUT", PARAMETERS, expires_in_seconds=60)

    assert PARAMETERS.items() <= signer.check("PUT", query).items()


def test_a_query_for_get_is_good_for_head(signer: Signer) -> None:
    query = signer.sign("GET", PARAMETERS, expires_in_seconds=60)

    signer.check("HEAD", query)
    with pytest.raises(LinkForOtherMethod, match="for GET, not for PUT"):
        signer.check("PUT", query)
    with pytest.raises(LinkForOtherMethod):
        signer.check("DELETE", query)


def test_a_query_for_put_opens_nothing_else(signer: Signer) -> None:
    query = signer.sign("PUT", PARAMETERS, expires_in_seconds=60)

    for method in ("GET", "HEAD", "POST"):
        with pytest.raises(LinkForOtherMethod):
            signer.check(method, query)


def test_a_query_is_refused_from_the_second_it_expires(signer: Signer, clock: Clock) -> None:
    query = signer.sign("GET", PARAMETERS, expires_in_seconds=60)

    clock.now += 59
    signer.check("GET", query)
    clock.now += 1
    with pytest.raises(LinkExpired, match="2027-01-15T08:01:00Z"):
        signer.check("GET", query)


@pytest.mark.parametrize(
    "change",
    [
        lambda query: query.replace("image%2Fpng", "text%2Fhtml"),
        lambda query: query + "&key=other",
        lambda query: "key=other&" + query,
        lambda query: query + "&more=1",
        lambda query: query.replace("expires=1", "expires=2"),
        lambda query: query.replace("&signature=", "&signature=0"),
        lambda query: query.replace("signature=", "signature=%C3%A4"),
        lambda query: query.partition("&signature=")[0],
        lambda query: query.partition("&signature=")[0] + "&signature=",
        lambda query: query.replace("key_id=", "key_id=x"),
        lambda query: "",
        lambda query: "%FF=%FF",
        lambda query: "a",
    ],
)
def test_a_changed_query_is_refused(signer: Signer, change: object) -> None:
    query = signer.sign("PUT", PARAMETERS, expires_in_seconds=60)

    with pytest.raises(LinkTampered):
        signer.check("PUT", change(query))  # type: ignore[operator]


def test_a_refusal_never_says_the_signature_or_the_secret(signer: Signer, keys: SigningKeys) -> None:
    query = signer.sign("PUT", PARAMETERS, expires_in_seconds=60)
    signature = query.partition("signature=")[2]

    with pytest.raises(LinkForOtherMethod) as refused:
        signer.check("GET", query)

    assert signature not in refused.value.message + repr(refused.value.details)
    assert repr(keys.newest()).count("secret") == 0


def test_parameters_do_not_run_into_each_other(signer: Signer) -> None:
    first = signer.sign("PUT", {"a": "1&b=2"}, expires_in_seconds=60)
    second = signer.sign("PUT", {"a": "1", "b": "2"}, expires_in_seconds=60)

    assert first.partition("signature=")[2] != second.partition("signature=")[2]


def test_the_file_of_keys_is_its_owners_alone(keys: SigningKeys, tmp_path: Path) -> None:
    keys.newest()

    assert stat.S_IMODE((tmp_path / "data" / "signing-keys.json").stat().st_mode) == 0o600


def test_live_urls_stay_good_when_keys_rotate(signer: Signer, keys: SigningKeys, clock: Clock) -> None:
    before = signer.sign("GET", PARAMETERS, expires_in_seconds=2 * DAY)

    keys.rotate()
    clock.now += DAY

    signer.check("GET", before)
    assert (
        before.partition("key_id=")[2] != signer.sign("GET", PARAMETERS, expires_in_seconds=1).partition("key_id=")[2]
    )


def test_a_key_gets_a_successor_after_a_week_and_goes_when_its_last_url_has_expired(
    signer: Signer, keys: SigningKeys, clock: Clock
) -> None:
    first = keys.newest().key_id
    clock.now += 7 * DAY - 1
    assert keys.newest().key_id == first
    last = signer.sign("GET", PARAMETERS, expires_in_seconds=LONGEST_URL_SECONDS)

    clock.now += DAY
    second = keys.newest().key_id
    assert second != first
    clock.now += 6 * DAY - 1
    signer.check("GET", last)

    for _ in range(3):
        clock.now += 8 * DAY
        keys.newest()
    assert keys.secret_of(first) is None
    assert keys.secret_of(second) is None


def test_no_url_lives_longer_than_a_week(signer: Signer, clock: Clock) -> None:
    query = signer.sign("GET", PARAMETERS, expires_in_seconds=365 * DAY)

    clock.now += LONGEST_URL_SECONDS
    with pytest.raises(LinkExpired):
        signer.check("GET", query)


def test_all_urls_end_when_keys_are_revoked(signer: Signer, keys: SigningKeys) -> None:
    before = signer.sign("GET", PARAMETERS, expires_in_seconds=DAY)

    keys.rotate(revoke=True)

    with pytest.raises(LinkTampered):
        signer.check("GET", before)
    signer.check("GET", signer.sign("GET", PARAMETERS, expires_in_seconds=DAY))


def test_another_process_learns_of_a_new_key_at_once(tmp_path: Path, clock: Clock) -> None:
    one, two = (SigningKeys(tmp_path / "keys.json", clock=clock) for _ in range(2))
    two.newest()

    one.rotate()

    query = Signer(one, clock=clock).sign("GET", PARAMETERS, expires_in_seconds=60)
    Signer(two, clock=clock).check("GET", query)
    assert two.newest() == one.newest()


def first_key_of(file: str) -> str:
    return SigningKeys(Path(file)).newest().key_id


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    file = str(tmp_path / "keys.json")

    with get_context("spawn").Pool(2) as pool, ThreadPoolExecutor(4) as threads:
        ours = [threads.submit(first_key_of, file) for _ in range(8)]
        theirs = pool.map(first_key_of, [file] * 8)

    assert len({*theirs, *(future.result() for future in ours)}) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keys.json", "keys.json.lock"]

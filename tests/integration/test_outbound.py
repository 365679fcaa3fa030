"""Fetches against a real HTTP server that misbehaves in every way that matters."""

from __future__ import annotations

import asyncio
import gzip
import threading
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from prismhouse.kit.errors import Code
from prismhouse.settings import OutboundSettings
from prismhouse.storage.outbound import Fetcher, Sender, URLRefused, URLUnreachable, resolver
from prismhouse.storage.outbound.addresses import is_open, networks_of

Handler = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class RudeServer:
    """Answers each path by writing to the socket itself."""

    port: int = 0
    seen: list[bytes] = field(default_factory=list)
    handlers: dict[str, Handler] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.seen.append(head)
            await self.handlers[head.split()[1].decode().partition("?")[0]](writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def answer(self, path: str, body: bytes = b"", status: str = "200 OK", **headers: str) -> str:
        async def handler(writer: asyncio.StreamWriter) -> None:
            given = {"Content-Length": str(len(body)), "Connection": "close"}
            given |= {name.replace("_", "-"): value for name, value in headers.items()}
            lines = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value)
            writer.write(f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body)

        self.handlers[path] = handler
        return self.url(path)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


@pytest.fixture
async def server() -> AsyncIterator[RudeServer]:
    rude = RudeServer()
    listening = await asyncio.start_server(rude.serve, "127.0.0.1", 0)
    rude.port = listening.sockets[0].getsockname()[1]
    yield rude
    listening.close()


@pytest.fixture
async def fetchers() -> AsyncIterator[Callable[..., Fetcher]]:
    made: list[Fetcher] = []

    def make(**settings: object) -> Fetcher:
        values = {"allow_networks": ("127.0.0.0/8",), "allow_ports": (), "timeout_seconds": 5} | settings
        made.append(Fetcher(OutboundSettings.model_validate(values)))
        return made[-1]

    yield make
    for fetcher in made:
        await fetcher.close()


@pytest.fixture
def fetcher(fetchers: Callable[..., Fetcher]) -> Iterator[Fetcher]:
    return fetchers()


async def refusal(fetcher: Fetcher, url: str) -> str:
    with pytest.raises((URLRefused, URLUnreachable)) as caught:
        await fetcher.fetch(url)
    assert caught.value.code is Code.UNREACHABLE_URL
    return caught.value.message


async def test_an_answer_comes_with_type_name_and_hash(server: RudeServer, fetcher: Fetcher) -> None:
    url = server.answer("/a%20b.txt", b"hello", Content_Type="text/plain; charset=ISO-8859-1")

    fetched = await fetcher.fetch(url + "?token=s3cret")

    assert await fetched.read() == b"hello"
    assert (fetched.content_type, fetched.charset, fetched.filename) == ("text/plain", "iso-8859-1", "a b.txt")
    assert "s3cret" not in fetched.final_url
    fetched.close()
    assert b"cookie" not in server.seen[0].lower()


async def test_a_name_in_the_answer_wins_and_is_only_a_name(server: RudeServer, fetcher: Fetcher) -> None:
    url = server.answer("/x", b"1", Content_Disposition='attachment; filename="../../etc/pass\\wd"')

    fetched = await fetcher.fetch(url)

    assert fetched.filename == "wd"
    fetched.close()


async def test_a_large_answer_goes_to_a_file_and_comes_back_whole(server: RudeServer, fetcher: Fetcher) -> None:
    body = bytes(range(256)) * 12_000
    url = server.answer("/big", gzip.compress(body), Content_Encoding="gzip")

    fetched = await fetcher.fetch(url)

    assert fetched.size_bytes == len(body)
    assert await fetched.read() == body
    fetched.close()


async def test_all_members_are_read_when_a_gzip_answer_has_several(server: RudeServer, fetcher: Fetcher) -> None:
    parts = [b"one" * 1000, bytes(300_000), b"three"]
    url = server.answer("/", b"".join(map(gzip.compress, parts)) + bytes(512), Content_Encoding="gzip")

    fetched = await fetcher.fetch(url)

    assert await fetched.read() == b"".join(parts)
    fetched.close()


async def test_redirects_are_followed_within_the_limit(server: RudeServer, fetcher: Fetcher) -> None:
    server.answer("/end", b"ok")
    server.answer("/2", status="307 Temporary Redirect", Location="/end")
    url = server.answer("/1", status="302 Found", Location="/2")
    loop = server.answer("/loop", status="302 Found", Location="/loop")

    fetched = await fetcher.fetch(url)

    assert await fetched.read() == b"ok"
    fetched.close()
    assert "redirects more than 3 times" in await refusal(fetcher, loop)


@pytest.mark.parametrize(
    "target",
    [
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "file:///etc/passwd",
        "gopher://x/",
    ],
)
async def test_a_redirect_is_checked_as_the_first_address_was(
    server: RudeServer, fetcher: Fetcher, target: str
) -> None:
    url = server.answer("/out", status="302 Found", Location=target)

    assert "is not fetched" in await refusal(fetcher, url)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]"])
async def test_this_machine_is_refused_under_every_name(
    server: RudeServer, fetchers: Callable[..., Fetcher], host: str
) -> None:
    server.answer("/", b"inside")

    message = await refusal(fetchers(allow_networks=()), server.url("/", host))

    assert "is not fetched" in message or "could not be fetched" in message
    assert server.seen == []


async def test_the_address_that_was_checked_is_the_one_connected_to(
    server: RudeServer, fetchers: Callable[..., Fetcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that changes between check and connection (DNS rebinding) is looked up once."""
    server.answer("/", b"inside")
    lookups: list[object] = []

    def changing(host: str, _port: int) -> list[str]:
        lookups.append(host)
        return ["127.0.0.2" if len(lookups) == 1 else "127.0.0.1"]

    monkeypatch.setattr(resolver, "_resolved", changing)

    message = await refusal(fetchers(allow_networks=("127.0.0.1/32",)), server.url("/", "rebind.example"))

    assert "private or reserved" in message
    assert lookups == ["rebind.example"]


async def test_one_private_address_among_public_ones_is_enough_to_refuse(
    fetchers: Callable[..., Fetcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "_resolved", lambda *_: ["93.184.216.34", "10.0.0.1"])

    assert "private or reserved" in await refusal(fetchers(), "http://mixed.example/")


async def test_the_process_goes_on_when_name_servers_do_not_answer(
    server: RudeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.answer("/")
    silent = threading.Event()
    asked: list[str] = []

    def slow(host: str, _port: int) -> list[str]:
        if host.endswith(".slow"):
            asked.append(host)
            silent.wait(30)
        return ["127.0.0.1"]

    monkeypatch.setattr(resolver, "_resolved", slow)
    sender = Sender(OutboundSettings(allow_networks=("127.0.0.0/8",), allow_ports=()))
    hosts = [f"{number % 20}.slow" for number in range(100)]
    try:
        hanging = [
            asyncio.create_task(sender.post(server.url("/", host), b"", {}, timeout_seconds=1)) for host in hosts
        ]
        await asyncio.sleep(0)
        posted = await sender.post(url, b"{}", {}, timeout_seconds=20)
        assert await asyncio.to_thread(lambda: "here") == "here"
        outcomes = await asyncio.gather(*hanging)
    finally:
        silent.set()
        await sender.close()

    assert posted.status == 200
    assert sorted(asked) == sorted(set(hosts))
    assert {one.error for one in outcomes} == {"it did not answer within 1 s"}


@pytest.mark.parametrize("kind", ["seconds", "date", "nonsense"])
async def test_a_sender_reads_when_it_is_to_come_again(server: RudeServer, kind: str) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=120), usegmt=True)
    given = {"seconds": "120", "date": later, "nonsense": "soon"}[kind]
    sender = Sender(OutboundSettings(allow_networks=("127.0.0.0/8",), allow_ports=()))
    url = server.answer("/", status="503 Later", Retry_After=given)

    posted = await sender.post(url, b"{}", {}, timeout_seconds=20)
    await sender.close()

    assert posted.retry_after_seconds == (None if kind == "nonsense" else pytest.approx(120, abs=20))


async def test_ports_that_are_not_open_are_refused(server: RudeServer, fetchers: Callable[..., Fetcher]) -> None:
    url = server.answer("/", b"x")

    assert f"port {server.port}" in await refusal(fetchers(allow_ports=(80, 443)), url)
    assert server.seen == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://user:pw@127.0.0.1/x", "user name or password"),
        ("ftp://127.0.0.1/x", "only http and https"),
        ("x", "without a scheme"),
        ("http:///x", "names no host"),
        ("http://127.0.0.1:99999/", "not a valid URL"),
        ("http://[::1/", "not a valid URL"),
        ("http://nowhere.invalid/", "does not resolve"),
    ],
)
async def test_a_url_that_leads_nowhere_says_why(fetcher: Fetcher, url: str, reason: str) -> None:
    message = await refusal(fetcher, url)

    assert reason in message
    assert "pw@" not in message


async def test_secrets_of_a_url_stay_out_of_the_message(server: RudeServer, fetcher: Fetcher) -> None:
    url = server.answer("/gone", status="404 Not Found")

    message = await refusal(fetcher, url + "?sig=s3cret#part")

    assert "answers 404" in message
    assert "s3cret" not in message


@pytest.mark.parametrize("declared", [True, False])
async def test_an_answer_over_the_limit_is_refused(
    server: RudeServer, fetchers: Callable[..., Fetcher], declared: bool
) -> None:
    url = server.answer("/", b"x" * 3000, **({} if declared else {"Content_Length": ""}))

    assert "at most 2000" in (message := await refusal(fetchers(max_bytes=2000), url)) or "more than 2000" in message


async def test_a_bomb_is_refused_before_it_unfolds(server: RudeServer, fetchers: Callable[..., Fetcher]) -> None:
    packed = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join([packed.compress(bytes(1 << 20)) for _ in range(200)]) + packed.flush()
    url = server.answer("/", bomb, Content_Encoding="gzip")

    assert "more than 1048576 bytes" in await refusal(fetchers(max_bytes=1 << 20), url)


async def test_a_bomb_is_unfolded_in_small_pieces_when_the_limit_is_large(
    server: RudeServer, fetchers: Callable[..., Fetcher]
) -> None:
    url = server.answer("/", gzip.compress(bytes(200 << 20)), Content_Encoding="gzip")
    fetcher = fetchers(max_bytes=100 << 20)
    tracemalloc.start()
    try:
        assert "more than" in await refusal(fetcher, url)
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("br", b"x"), ("gzip", b"not gzip"), ("gzip", gzip.compress(b"x" * 99)[:20])],
    ids=["unknown", "no gzip", "cut off"],
)
async def test_an_answer_that_cannot_be_decoded_is_refused(
    server: RudeServer, fetcher: Fetcher, encoding: str, body: bytes
) -> None:
    url = server.answer("/", body, Content_Encoding=encoding)

    assert "http://127.0.0.1" in await refusal(fetcher, url)


async def test_a_server_that_drips_is_left_in_time(server: RudeServer, fetchers: Callable[..., Fetcher]) -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    server.handlers["/"] = drip

    assert "longer than 0.3 s" in await refusal(fetchers(timeout_seconds=0.3), server.url("/"))


async def test_a_server_that_says_nothing_is_left_in_time(server: RudeServer, fetchers: Callable[..., Fetcher]) -> None:
    async def silent(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(5)

    server.handlers["/"] = silent

    assert "could not be fetched" in await refusal(fetchers(timeout_seconds=0.2), server.url("/"))


@pytest.mark.parametrize("raw", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"])
async def test_an_answer_that_breaks_off_is_an_error(server: RudeServer, fetcher: Fetcher, raw: bytes) -> None:
    async def broken(writer: asyncio.StreamWriter) -> None:
        writer.write(raw)

    server.handlers["/"] = broken

    assert "connection broke" in await refusal(fetcher, server.url("/"))


async def test_a_closed_port_is_an_error(fetcher: Fetcher, server: RudeServer) -> None:
    assert "connection failed" in await refusal(fetcher, "http://127.0.0.1:1/")


async def test_proxies_of_the_environment_are_not_used(
    server: RudeServer, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    url = server.answer("/", b"direct")

    fetched = await fetcher.fetch(url)

    assert await fetched.read() == b"direct"
    fetched.close()


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "2002:a00:1::",
        "2001:0:a00:1::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "::7f00:1",
    ],
)
def test_addresses_inside_networks_are_closed(address: str) -> None:
    assert not is_open(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "::ffff:8.8.8.8"])
def test_public_addresses_are_open(address: str) -> None:
    assert is_open(address)


def test_an_operator_opens_networks() -> None:
    allowed = networks_of(["10.0.0.0/8", "fd00::/8"])

    assert is_open("10.1.1.1", allowed)
    assert is_open("::ffff:10.1.1.1", allowed)
    assert is_open("fd00::1", allowed)
    assert not is_open("192.168.0.1", allowed)
    with pytest.raises(ValueError, match="nonsense"):
        networks_of(["nonsense"])

"""Crawls of a site that a real web server serves: what comes home, and what each thing that goes wrong is called."""

from __future__ import annotations

import asyncio
import gzip
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.photos import png
from tests.website import HTML, Answer, Page, Website, bomb, page, redirect

from prismhouse.engine.extractors.catalogue import Catalogue
from prismhouse.engine.extractors.port import ErrorType, Part, Row, RowFailure, RowResult
from prismhouse.engine.extractors.run import run_rows
from prismhouse.engine.web.found import Crawled
from prismhouse.engine.web.gather import GatherSettings, gather
from prismhouse.settings import OutboundSettings, WebSettings
from prismhouse.storage.compute.local import LocalCompute

_ID = "web_scraper_v1"
_OPEN = OutboundSettings(allow_networks=("127.0.0.1/32",), allow_ports=(), timeout_seconds=5)
_FAST = {"max_retries": 2, "retry_base_delay": 0.1, "retry_max_delay": 1}
Serve = Callable[..., Website]


@pytest.fixture
def serve() -> Iterator[Serve]:
    sites: list[Website] = []

    def start(pages: dict[str, Page], **options: Any) -> Website:
        sites.append(Website(pages, **options))
        return sites[-1]

    yield start
    for site in sites:
        site.close()


def crawled(url: str, settings: GatherSettings | None = None, **parameters: Any) -> Crawled | RowFailure:
    catalogue = Catalogue()
    resolved = catalogue.validate_parameters(catalogue.by_id(_ID), {**_FAST, **parameters})
    row = Row(row_id="r", inputs={"url": Part(type="text", text=url, value=url)})
    made = gather(resolved, row, settings or GatherSettings(outbound=_OPEN, web=WebSettings(page_bytes=200_000)))
    if isinstance(made, RowResult):
        assert made.failure is not None
        return made.failure
    part = made.inputs["crawl"]
    assert isinstance(part, Part)
    assert isinstance(part.value, Crawled)
    return part.value


def came(site: Website, **parameters: Any) -> Crawled:
    made = crawled(site.url, **parameters)
    assert isinstance(made, Crawled), made
    return made


def paths(site: Website, made: Crawled) -> list[str]:
    return [one.url.removeprefix(site.url) for one in made.pages]


def test_pages_come_breadth_first_whoever_answers_first(serve: Serve) -> None:
    pages: dict[str, Page] = {
        "/": page("home", "/slow", "/a", "/b", "/"),
        "/slow": Answer(page("slow", "/deep", "/a/").encode(), wait=0.4),
        "/a": page("a", "/slow#part", "/a2"),
        "/b": page("b", "/b2", "/a?utm_source=x"),
        "/deep": page("deep", "/deeper"),
        "/a2": page("a2"),
        "/b2": page("b2"),
        "/deeper": page("deeper"),
    }
    site = serve(pages)

    first, again = came(site), came(site)

    assert paths(site, first) == ["/", "/slow", "/a", "/b", "/deep", "/a2", "/b2"]
    assert first.pages == again.pages
    assert [one.depth for one in first.pages] == [0, 1, 1, 1, 2, 2, 2]
    assert first.pages[4].parent == f"{site.url}/slow"
    assert not first.failures
    assert not first.dropped
    assert max(site.counts.values()) == 2


def test_what_is_beyond_the_limit_is_counted(serve: Serve) -> None:
    site = serve({"/": page("home", *(f"/{number}" for number in range(9)))}, fallback=lambda path: page(path))

    made = came(site, max_pages=4)

    assert paths(site, made) == ["/", "/0", "/1", "/2"]
    assert made.dropped == {"max_pages_cap": 6}


def test_an_endless_calendar_ends(serve: Serve) -> None:
    def month(path: str) -> Page:
        number = int(path.partition("=")[2] or 0)
        return page(f"month {number}", f"/?month={number + 1}", f"/?month={number + 2}")

    site = serve({}, fallback=month)

    made = came(site, max_pages=10, max_depth=10)

    assert len(made.pages) == 10
    assert made.dropped["max_pages_cap"] > 0


def test_a_site_of_redirects_alone_ends(serve: Serve) -> None:
    links = [f"/r{number}" for number in range(500)]
    site = serve({"/": page("home", *links)}, fallback=lambda path: redirect("/") if path.startswith("/r") else None)

    made = came(site, max_pages=2)

    assert paths(site, made) == ["/"]
    assert made.dropped["visits_cap"] > 400
    assert len(site.paths) < 60


def test_failed_pages_are_named_and_the_others_come(serve: Serve) -> None:
    names = ["gone", "secret", "broken", "loop", "large", "bomb", "slow", "odd", "empty", "scripts", "deep", "cut"]
    site = serve(
        {
            "/": page("home", *(f"/{name}" for name in names), "/good"),
            "/gone": Answer(b"", 410),
            "/secret": Answer(b"", 401),
            "/broken": Answer(b"", 500),
            "/loop": redirect("/loop"),
            "/large": Answer(b"<p>" + b"x" * 300_000),
            "/bomb": bomb(200_000_000),
            "/slow": Answer(page("slow").encode(), drip=True),
            "/odd": Answer(b"x", headers={"Content-Encoding": "br"}),
            "/empty": "<html><body></body></html>",
            "/scripts": '<html><body><div id="root"></div><script src="app.js"></script></body></html>',
            "/deep": "<div>" * 5000,
            "/cut": Answer(gzip.compress(b"<p>hello" * 100)[:-20], headers={"Content-Encoding": "gzip"}),
            "/good": page("good"),
        }
    )
    settings = GatherSettings(
        outbound=_OPEN.model_copy(update={"timeout_seconds": 1.0}), web=WebSettings(page_bytes=200_000)
    )

    made = crawled(site.url, settings, max_retries=0)

    assert isinstance(made, Crawled)
    assert paths(site, made) == ["/", "/good"]
    told = {failure.message.removeprefix(site.url).split(" ")[0].rstrip(":"): failure.code for failure in made.failures}
    assert told == {
        "/gone": "page_not_found",
        "/secret": "page_forbidden",
        "/broken": "page_unavailable",
        "/loop": "redirect_loop",
        "/large": "page_too_large",
        "/bomb": "page_too_large",
        "/slow": "page_unreachable",
        "/odd": "address_refused",
        "/empty": "no_content",
        "/scripts": "needs_javascript",
        "/deep": "page_too_deep",
        "/cut": "page_unreachable",
    }
    assert {failure.error_type for failure in made.failures} == {ErrorType.PERMANENT}


@pytest.mark.parametrize(
    ("answer", "code", "kind"),
    [
        (Answer(b"", 404), "page_not_found", ErrorType.PERMANENT),
        (Answer(b"", 403), "page_forbidden", ErrorType.PERMANENT),
        (Answer(b"", 503), "page_unavailable", ErrorType.TRANSIENT),
        (Answer(b"%PDF-1.7", content_type="application/pdf"), "not_html", ErrorType.PERMANENT),
        (Answer(b"\x00\x01", content_type=None), "not_html", ErrorType.PERMANENT),
        (redirect("http://127.0.0.2:1/"), "address_refused", ErrorType.PERMANENT),
        (redirect("http://169.254.169.254/latest/meta-data"), "address_refused", ErrorType.PERMANENT),
        (redirect("file:///etc/passwd"), "bad_redirect", ErrorType.PERMANENT),
        (
            Answer(b"<title>Just a moment</title>", 403, headers={"cf-mitigated": "challenge"}),
            "captcha",
            ErrorType.PERMANENT,
        ),
        (Answer(b'<div class="g-recaptcha">', 403), "captcha", ErrorType.PERMANENT),
        (Answer(b"<meta name=robots content=noindex>text"), "noindex", ErrorType.PERMANENT),
    ],
)
def test_a_first_page_that_cannot_be_had_fails_the_row_by_name(
    serve: Serve, answer: Answer, code: str, kind: ErrorType
) -> None:
    failure = crawled(serve({"/": answer}).url, max_retries=0)

    assert isinstance(failure, RowFailure)
    assert (failure.code, failure.error_type) == (code, kind)
    assert "127.0.0.2" not in failure.message or code == "address_refused"


@pytest.mark.parametrize(
    ("url", "code", "kind"),
    [
        ("http://10.0.0.7/", "address_refused", ErrorType.PERMANENT),
        ("http://[::1]:5432/", "address_refused", ErrorType.PERMANENT),
        ("http://0x7f.1.2.3/", "address_refused", ErrorType.PERMANENT),
        ("http://127.0.0.1:9/", "page_unreachable", ErrorType.TRANSIENT),
        ("http://no-such-host.invalid/", "page_unreachable", ErrorType.TRANSIENT),
        ("ftp://x.test/", "bad_url", ErrorType.PERMANENT),
        ("http://user:pass@x.test/", "bad_url", ErrorType.PERMANENT),
        ("no address", "bad_url", ErrorType.PERMANENT),
        ("https://www.youtube.com/@channel", "youtube_unserved", ErrorType.PERMANENT),
    ],
)
def test_an_address_that_cannot_be_crawled_fails_by_name(url: str, code: str, kind: ErrorType) -> None:
    failure = crawled(url, max_retries=0)

    assert isinstance(failure, RowFailure)
    assert (failure.code, failure.error_type) == (code, kind)
    assert "pass" not in failure.message


def test_no_page_leads_into_a_private_network(serve: Serve) -> None:
    inner = serve({"/": page("inside")})
    hidden = f"http://127.0.0.2:{inner.port}/"
    site = serve({"/": page("home", "/r", hidden, "/b"), "/r": redirect(hidden), "/b": page("b")})

    made = came(site, include_patterns=["://"])

    assert paths(site, made) == ["/", "/b"]
    assert [failure.code for failure in made.failures] == ["address_refused", "address_refused"]
    assert not inner.paths


def test_robots_txt_is_obeyed(serve: Serve) -> None:
    rules = b"User-agent: *\nDisallow: /\n\nUser-agent: Prismhouse\nDisallow: /private\nAllow: /private/but\n"
    site = serve(
        {
            "/robots.txt": Answer(rules, content_type="text/plain"),
            "/": page("home", "/private/a", "/private/but", "/r", "/open"),
            "/r": redirect("/private/b"),
        },
        fallback=lambda path: page(path),
    )

    made = came(site)

    assert paths(site, made) == ["/", "/private/but", "/open"]
    assert made.dropped == {"robots_disallowed": 2}
    assert not {"/private/a", "/private/b"} & set(site.paths)
    assert "prismhouse/" in site.asked[0].headers["User-Agent"]
    assert site.counts["/robots.txt"] == 1


@pytest.mark.parametrize(
    ("answer", "code", "kind"),
    [
        (Answer(b"User-agent: *\nDisallow: /", content_type="text/plain"), "robots_disallowed", ErrorType.PERMANENT),
        (Answer(b"", 503), "robots_unreachable", ErrorType.TRANSIENT),
        (Answer(b"", 429), "robots_unreachable", ErrorType.TRANSIENT),
        (Answer(b"", 404), None, None),
        (Answer(b"", 403), None, None),
        (Answer(b"\xff\xfe<html>not robots at all" * 9), None, None),
        (redirect("/elsewhere.txt"), "robots_disallowed", ErrorType.PERMANENT),
    ],
)
def test_a_site_is_closed_or_open_as_the_standard_says(
    serve: Serve, answer: Answer, code: str | None, kind: ErrorType | None
) -> None:
    other = Answer(b"User-agent: prismhouse\nDisallow: /", content_type="text/plain")
    site = serve({"/robots.txt": answer, "/elsewhere.txt": other, "/": page("home")})

    made = crawled(site.url, max_retries=0)

    assert (made.code if isinstance(made, RowFailure) else None) == code
    assert (made.error_type if isinstance(made, RowFailure) else None) == kind
    assert ("/" in site.paths) is (code is None)


def test_a_pause_that_is_asked_for_is_made(serve: Serve) -> None:
    rules = Answer(b"User-agent: *\nCrawl-delay: 100", content_type="text/plain")
    site = serve({"/robots.txt": rules, "/": page("home", "/a", "/b")}, fallback=lambda path: page(path))
    settings = GatherSettings(outbound=_OPEN, web=WebSettings(pause_seconds=0.3))

    made = crawled(site.url, settings, delay_between_requests=0.1)

    assert isinstance(made, Crawled)
    times = [one.at for one in site.asked if one.path != "/robots.txt"]
    assert len(times) == 3
    assert min(later - earlier for earlier, later in itertools.pairwise(times)) > 0.25


def test_busy_pages_are_tried_again_as_they_ask(serve: Serve) -> None:
    busy = Answer(b"", 429, headers={"Retry-After": "1"})
    site = serve(
        {
            "/": page("home", "/busy", "/down", "/never"),
            "/busy": Answer(page("busy").encode(), before=(busy,)),
            "/down": Answer(page("down").encode(), before=(Answer(b"", 502), Answer(b"", 503))),
            "/never": Answer(b"", 503, headers={"Retry-After": "3600"}),
        }
    )

    made = came(site)

    assert paths(site, made) == ["/", "/busy", "/down"]
    waited = [one.at for one in site.asked if one.path == "/busy"]
    assert waited[1] - waited[0] > 0.9
    assert [failure.code for failure in made.failures] == ["page_unavailable"]
    assert "3600" in made.failures[0].message
    assert site.counts["/never"] == 1


def test_a_crawl_ends_in_its_time_with_what_it_has(serve: Serve) -> None:
    site = serve(
        {"/": page("home", *(f"/{number}" for number in range(50)))},
        fallback=lambda path: Answer(page(path).encode(), wait=1.5),
    )
    settings = GatherSettings(outbound=_OPEN, web=WebSettings(connections=1))

    made = crawled(site.url, settings, crawl_timeout=10, max_retries=0)

    assert isinstance(made, Crawled)
    assert 3 < len(made.pages) < 9
    assert made.dropped["crawl_timeout"] + len(made.pages) == 51
    assert not made.failures


def test_headers_and_cookies_stay_where_they_belong(serve: Serve) -> None:
    other = serve({"/": page("other")})
    site = serve(
        {
            "/": Answer(
                page("home", "/a", f"{other.url}/", "/r").encode(), headers={"Set-Cookie": "session=abc; Path=/"}
            ),
            "/a": page("a"),
            "/r": redirect(f"{other.url}/r"),
        }
    )

    came(site, include_patterns=["://"], custom_headers={"Authorization": "Bearer secret", "X-Team": "docs"})
    first = next(one for one in site.asked if one.path == "/")
    second = next(one for one in site.asked if one.path == "/a")
    without = came(site, persist_cookies=False)

    assert first.headers["Authorization"] == "Bearer secret"
    assert "Cookie" not in first.headers
    assert second.headers["Cookie"] == "session=abc"
    assert other.paths
    assert not any("Authorization" in one.headers or "X-Team" in one.headers for one in other.asked)
    assert without.pages
    assert "Cookie" not in site.asked[-1].headers


def test_notes_of_authors_are_heeded(serve: Serve) -> None:
    site = serve(
        {
            "/": page("home", "/hidden", "/alone", "/print", "/real"),
            "/hidden": page("hidden", "/behind", head="<meta name=robots content=noindex>"),
            "/alone": page("alone", "/never", head="<meta name=robots content=nofollow>"),
            "/real": page("real"),
            "/print": page("real", head='<link rel=canonical href="/real">'),
            "/behind": page("behind"),
            "/never": page("never"),
        }
    )

    made = came(site)

    assert "/hidden" not in paths(site, made)
    assert "/behind" in paths(site, made)
    assert "/never" not in paths(site, made)
    assert made.dropped["noindex"] == 1
    assert sum(one.title == "real" for one in made.pages) == 2 - made.dropped.get("copies", 0)


def test_files_are_links_and_are_not_fetched(serve: Serve) -> None:
    site = serve(
        {
            "/": '<main><p>See <a href="/paper.pdf">the paper</a> and <a href="/download">the data</a>.</p></main>',
            "/download": Answer(b"1,2", content_type="text/csv"),
        }
    )

    made = came(site)

    assert [(one.url.removeprefix(site.url), one.text) for one in made.pages[0].assets] == [
        ("/paper.pdf", "the paper"),
        ("/download", "the data"),
    ]
    assert "/paper.pdf" not in site.paths
    assert not made.failures


def test_a_file_is_shown_by_a_page_that_is_kept_when_another_named_it_first(serve: Serve) -> None:
    hidden = page("hidden", "/download", "/secret", head="<meta name=robots content=noindex>")
    site = serve(
        {
            "/": page("home", "/hidden", "/shown"),
            "/hidden": hidden,
            "/shown": page("shown", "/download"),
            "/download": Answer(b"1,2", content_type="text/csv"),
            "/secret": Answer(b"3", content_type="text/csv"),
        }
    )

    made = came(site)

    assert paths(site, made) == ["/", "/shown"]
    assert [[(one.url.removeprefix(site.url), one.text) for one in each.assets] for each in made.pages] == [
        [],
        [("/download", "to /download")],
    ]


def test_a_document_tells_what_its_page_has_beyond_what_is_kept(serve: Serve, tmp_path: Path) -> None:
    site = serve({"/": "<main>Many.</main>" + "".join(f"<pre>x = {number}</pre>" for number in range(1002))})

    (result,) = _documents(site, tmp_path, {"generate_image_embeddings": False, "generate_text_embeddings": False})

    assert [one.fields["left_out"] for one in result.documents] == [{"code_blocks": 2}]


def _illustrated(text: str, *images: str) -> str:
    return f"<main><p>{text}</p>{''.join(f'<img src={image!r} alt=x>' for image in images)}</main>"


def test_pages_become_documents_with_vectors_of_text_and_pictures(serve: Serve, tmp_path: Path) -> None:
    picture = png("china")
    site = serve(
        {
            "/": _illustrated('Roofs of a temple. <a href="/two">two</a>', "/china.png", "/gone.jpg", "/lies.png"),
            "/two": _illustrated("Nothing to see."),
            "/china.png": Answer(picture, content_type="image/png"),
            "/lies.png": Answer(b"<html>not a picture", content_type="image/png"),
        }
    )
    catalogue = Catalogue()
    parameters = catalogue.validate_parameters(catalogue.by_id(_ID), _FAST)
    row = Row(row_id="r", inputs={"url": Part(type="text", text=site.url)})

    gathered = gather(parameters, row, GatherSettings(outbound=_OPEN))
    assert isinstance(gathered, Row)
    (result,) = run_rows(_ID, parameters, [gathered], 1, str(tmp_path))

    first, second = result.documents
    assert len(first.vectors) == 3
    assert list(second.vectors) == ["all_minilm_l6_v2_v1"]
    assert first.position == (f"{site.url}/", 0)
    assert [image["url"].removeprefix(site.url) for image in first.fields["images"]] == [
        "/china.png",
        "/gone.jpg",
        "/lies.png",
    ]
    assert first.fields["images"][0]["labels"]
    assert "labels" not in first.fields["images"][1]
    assert {(failure.code, failure.missing_feature) for failure in result.partial_failures} == {
        ("page_not_found", "image_embedding"),
        ("media_type_mismatch", "image_embedding"),
    }
    assert result.units == {"page": 2.0, "image": 1.0}
    assert set(first.fields) <= set(catalogue.by_id(_ID).output_schema["properties"])


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [("url", [("/", 0), ("/", 1), ("/two", 0), ("/two", 1)]), ("position", [(0, 0), (0, 1), (1, 0), (1, 1)])],
)
def test_chunks_have_places_of_their_own(
    serve: Serve, tmp_path: Path, strategy: str, expected: list[tuple[object, int]]
) -> None:
    text = 'One is first. Two is second. <a href="/f.pdf">F</a> is third. Four ends.'
    site = serve({"/": f'<main>{text}<a href="/two"> more.</a></main>', "/two": f"<main>{text}</main>"})
    parameters = {
        "chunk_strategy": "sentences",
        "chunk_size": 2,
        "chunk_overlap": 0,
        "document_id_strategy": strategy,
        "generate_image_embeddings": False,
        "generate_structure_embeddings": False,
    }
    (result,) = _documents(site, tmp_path, parameters)

    places = [(str(one.position[0]).removeprefix(site.url), one.position[1]) for one in result.documents]
    assert places[:4] == [(str(first), index) for first, index in expected][:2] + places[2:4]
    assert len({one.position for one in result.documents}) == len(result.documents)
    assert [len(one.fields["asset_links"]) for one in result.documents[:2]] == [0, 1]
    assert all(one.fields["total_chunks"] in (2, 3) for one in result.documents)


def test_the_same_text_is_one_document_when_ids_are_made_of_content(serve: Serve, tmp_path: Path) -> None:
    site = serve({"/": page("x", "/b", text="same"), "/b": page("x", "/c", text="same"), "/c": page("y")})

    (result,) = _documents(site, tmp_path, {"document_id_strategy": "content"})

    assert [one.fields["page_url"].removeprefix(site.url) for one in result.documents] == ["/", "/c"]


def test_a_row_whose_pages_were_not_fetched_says_so(tmp_path: Path) -> None:
    (result,) = run_rows(
        _ID, {}, [Row(row_id="r", inputs={"url": Part(type="text", text="http://x.test")})], 1, str(tmp_path)
    )

    assert result.failure is not None
    assert result.failure.code == "not_crawled"


def _documents(site: Website, folder: Path, given: dict[str, Any]) -> list[RowResult]:
    catalogue = Catalogue()
    parameters = catalogue.validate_parameters(catalogue.by_id(_ID), {**_FAST, **given})
    row = Row(row_id="r", inputs={"url": Part(type="text", text=site.url)})
    gathered = gather(parameters, row, GatherSettings(outbound=_OPEN))
    assert isinstance(gathered, Row)
    return run_rows(_ID, parameters, [gathered], 1, str(folder))


def test_a_page_that_takes_all_memory_is_lost_alone(serve: Serve) -> None:
    looks_ended = "".join(f"<font color={number}><table></font></table>" for number in range(300))
    huge = f"<title>huge</title><p>{looks_ended}" + "<p>x" * 20_000
    site = serve({"/": page("home", "/huge", "/other"), "/huge": huge, "/other": page("other")})
    parameters = Catalogue().validate_parameters(Catalogue().by_id(_ID), _FAST)
    row = Row(row_id="r", inputs={"url": Part(type="text", text=site.url, value=site.url)})

    async def limited() -> Any:
        pool = LocalCompute(1, memory_bytes=2**30)
        try:
            settings = GatherSettings(outbound=_OPEN)
            return await pool.run("prismhouse.engine.web.gather:gather", parameters, row, settings, timeout_seconds=60)
        finally:
            await pool.close()

    made = asyncio.run(limited()).inputs["crawl"].value

    assert [one.title for one in made.pages] == ["home", "other"]
    assert [one.code for one in made.failures] == ["page_too_large"]


def test_pages_without_a_content_type_or_with_a_wrong_charset_are_read(serve: Serve) -> None:
    site = serve(
        {
            "/": Answer(page("home", "/latin", "/wrong").encode(), content_type=None),
            "/latin": Answer(page("Grüße aus Köln").encode("latin-1"), content_type="text/html"),
            "/wrong": Answer(page("Grüße aus Bonn").encode(), content_type="text/html; charset=iso-8859-1"),
        }
    )

    made = came(site)

    assert [one.title for one in made.pages] == ["home", "Grüße aus Köln", "Grüße aus Bonn"]
    assert HTML.startswith("text/html")

"""What may be set for the crawl of a site, and what is refused because nothing here can do it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from prismhouse.engine.extractors.parameters import (
    KEYS_STAND_ELSEWHERE,
    NEEDS_LANGUAGE_MODEL,
    Parameters,
    check_provider,
)
from prismhouse.engine.extractors.shapes import check_shape
from prismhouse.engine.extractors.web.fields import OUTPUT_SCHEMA
from prismhouse.engine.web.rules import compiled

__all__ = ["ChunkStrategy", "DocumentIdStrategy", "WebScraperParameters"]

_NO_GOAL = "no model chooses which links are followed; include_patterns and exclude_patterns do"
_NO_PROXY = "requests go out from this server, so that its rules on private networks hold; there are no proxies"
_NO_SOLVER = "captchas are not solved; their pages are counted as left out"
_NO_YOUTUBE = "videos of YouTube are not fetched; upload them"
_PATTERNS = 100
_HEADERS = 32
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_OWN_HEADERS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)

_Pattern = Annotated[str, Field(min_length=1, max_length=1000)]
_Patterns = Annotated[list[_Pattern], Field(max_length=_PATTERNS)]


class ChunkStrategy(StrEnum):
    """What a chunk is counted in."""

    NONE = "none"
    SENTENCES = "sentences"
    PARAGRAPHS = "paragraphs"
    WORDS = "words"
    CHARACTERS = "characters"


class DocumentIdStrategy(StrEnum):
    """What ids of documents are made of, beside object and collection."""

    URL = "url"
    POSITION = "position"
    CONTENT = "content"


class WebScraperParameters(Parameters):
    """How far a crawl goes, how it behaves, and what is made of its pages."""

    unserved: ClassVar[Mapping[str, str]] = {
        "crawl_mode": _NO_GOAL,
        "crawl_goal": _NO_GOAL,
        "llm_api_key": KEYS_STAND_ELSEWHERE,
        "proxies": _NO_PROXY,
        "rotate_proxy_on_error": _NO_PROXY,
        "rotate_proxy_every_n_requests": _NO_PROXY,
        "captcha_service_provider": _NO_SOLVER,
        "captcha_service_api_key": _NO_SOLVER,
        "youtube_max_videos": _NO_YOUTUBE,
        "youtube_backfill_months": _NO_YOUTUBE,
        "youtube_show_filter": _NO_YOUTUBE,
        "youtube_download_videos": _NO_YOUTUBE,
        "youtube_format_ladder": _NO_YOUTUBE,
        "youtube_cookies_path": _NO_YOUTUBE,
        "youtube_request_sleep": _NO_YOUTUBE,
    }
    written: ClassVar[Mapping[str, bool]] = {"llm_model": False, "response_shape": False, "llm_provider": False}
    written_by: ClassVar[str | None] = "llm_model"

    extractor_type: Literal["web_scraper"] = "web_scraper"
    max_depth: int = Field(2, ge=0, le=10, description="Links from the first page on that are followed; 0: only it.")
    max_pages: int = Field(50, ge=1, le=500, description="Most pages; what is known beyond is counted as dropped.")
    crawl_timeout: int = Field(300, ge=10, le=3600, description="Seconds that a crawl may take, its pictures included.")
    crawl_mode: Literal["deterministic", "semantic"] = Field(
        "deterministic", description="deterministic: breadth first, in the order of the links. semantic is refused."
    )
    crawl_goal: str | None = Field(None, description=f"Unset: {_NO_GOAL}.")
    render_strategy: Literal["auto", "static", "javascript"] = Field(
        "auto",
        description="auto and static: pages as the server sends them; one without text of its own is told as "
        "needs_javascript. javascript is refused: there is no browser.",
    )
    include_patterns: _Patterns | None = Field(
        None,
        description="Regular expressions, looked for in the whole address: links that none fits are not followed. One "
        "that contains `://` opens other sites that it fits.",
    )
    exclude_patterns: _Patterns | None = Field(
        None, description="Regular expressions: links that one of them fits are not followed."
    )
    chunk_strategy: ChunkStrategy = Field(
        ChunkStrategy.NONE, description="Unit of the chunks; none: one document for each page."
    )
    chunk_size: int = Field(500, ge=1, le=10_000, description="Size of a chunk, in units of chunk_strategy.")
    chunk_overlap: int = Field(
        50, ge=0, le=5_000, description="Units that a chunk shares with the one before; less than chunk_size."
    )
    document_id_strategy: DocumentIdStrategy = Field(
        DocumentIdStrategy.URL,
        description="What tells the documents of an object apart: url: page and chunk; position: number of the page, "
        "and chunk; content: the text, so that the same text is one document.",
    )
    generate_text_embeddings: bool = Field(True, description="Whether documents have a vector of their text.")
    generate_code_embeddings: bool = Field(
        True,
        description="Has no effect: no model of code is built in. Code is part of the text and of its vector.",
    )
    generate_image_embeddings: bool = Field(
        True, description="Whether documents have a vector of their pictures that texts can query."
    )
    generate_structure_embeddings: bool = Field(
        True, description="Whether documents have a vector of what their pictures look like, queried by pictures."
    )
    response_shape: str | dict[str, Any] | None = Field(
        None,
        description="What is to be told of each document, in words or as a JSON schema of an object; its keys become"
        f" fields. It {NEEDS_LANGUAGE_MODEL}.",
    )
    llm_provider: str | None = Field(None, description="`openai`, the protocol of every model; or unset.")
    llm_model: str | None = Field(
        None, description="Model of the file of models that fills response_shape. Unset: its default."
    )
    llm_api_key: str | None = Field(None, description="Unset: the file of models names where keys are.")
    max_retries: int = Field(3, ge=0, le=10, description="Further attempts for a page that fails for a passing reason.")
    retry_base_delay: float = Field(
        1.0, ge=0.1, le=30, description="Seconds before the second attempt; twice as long before each later one."
    )
    retry_max_delay: float = Field(
        30.0, ge=1, le=300, description="Longest pause before an attempt. A site that asks for more is left."
    )
    respect_retry_after: bool = Field(True, description="Whether Retry-After decides about the pause.")
    proxies: list[str] | None = Field(None, description=f"Unset: {_NO_PROXY}.")
    rotate_proxy_on_error: bool = Field(True, description="Has no effect: there are no proxies.")
    rotate_proxy_every_n_requests: int = Field(0, ge=0, le=1000, description="Has no effect: there are no proxies.")
    captcha_service_provider: str | None = Field(None, description=f"Unset: {_NO_SOLVER}.")
    captcha_service_api_key: str | None = Field(None, description=f"Unset: {_NO_SOLVER}.")
    detect_captcha: bool = Field(
        True, description="Whether pages that ask for a captcha are told apart from those that are forbidden."
    )
    persist_cookies: bool = Field(True, description="Whether cookies are kept during a crawl. They never outlive it.")
    custom_headers: dict[str, str] | None = Field(
        None,
        max_length=_HEADERS,
        description="Sent to the origin of the first address alone. Answers do not show their values.",
    )
    youtube_mode: Literal["auto", "off", "force"] = Field(
        "auto", description="auto: addresses of YouTube fail by name. off: they are pages as others. force is refused."
    )
    youtube_max_videos: int = Field(50, ge=1, le=5000, description=f"Has no effect: {_NO_YOUTUBE}.")
    youtube_backfill_months: int = Field(6, ge=1, le=60, description=f"Has no effect: {_NO_YOUTUBE}.")
    youtube_show_filter: str | None = Field(None, description=f"Unset: {_NO_YOUTUBE}.")
    youtube_download_videos: bool = Field(True, description=f"Has no effect: {_NO_YOUTUBE}.")
    youtube_format_ladder: str = Field(
        "b[height<=720]/bv*[height<=720]+ba/best", description=f"Has no effect: {_NO_YOUTUBE}."
    )
    youtube_cookies_path: str | None = Field(None, description=f"Unset: {_NO_YOUTUBE}.")
    youtube_request_sleep: float = Field(1.0, ge=0, le=30, description=f"Has no effect: {_NO_YOUTUBE}.")
    delay_between_requests: float = Field(
        0.0, ge=0, le=60, description="Seconds between two requests to a host; more where its robots.txt asks for it."
    )

    @field_validator("include_patterns", "exclude_patterns")
    @classmethod
    def _are_patterns(cls, given: list[str] | None) -> list[str] | None:
        for pattern in given or ():
            compiled(pattern)
        return given

    @field_validator("custom_headers")
    @classmethod
    def _are_headers(cls, given: dict[str, str] | None) -> dict[str, str] | None:
        for name, value in (given or {}).items():
            if not _HEADER_NAME.fullmatch(name):
                raise ValueError(f"{name[:100]!r} is no name of a header.")
            if name.lower() in _OWN_HEADERS:
                raise ValueError(f"The header {name} is set by the crawl itself. Leave it out.")
            if len(value) > 4096 or not all(" " <= letter < "\x7f" or letter == "\t" for letter in value):
                raise ValueError(f"The value of {name} must be at most 4096 printable ASCII characters.")
        return given

    @model_validator(mode="after")
    def _has_a_shape(self) -> Self:
        check_provider("llm_provider", self.llm_provider)
        check_shape("response_shape", self.response_shape, OUTPUT_SCHEMA["properties"])
        return self

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.render_strategy == "javascript":
            raise ValueError(
                "render_strategy: javascript needs a browser, and none is built in. Use auto or static, which read"
                " pages as the server sends them."
            )
        if self.youtube_mode == "force":
            raise ValueError(f"youtube_mode: {_NO_YOUTUBE}. Use auto or off.")
        if self.chunk_strategy is not ChunkStrategy.NONE and self.chunk_overlap >= self.chunk_size:
            raise ValueError(
                f"chunk_overlap: {self.chunk_overlap} must be less than chunk_size, which is {self.chunk_size}."
            )
        return self

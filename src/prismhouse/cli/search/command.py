"""`prismhouse search`: arguments, and the question."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any
from urllib.parse import quote

from prismhouse.cli.batch.server import NotFound, Server
from prismhouse.cli.ingest.recipes import KINDS
from prismhouse.cli.load import add_data_argument, load_settings
from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["add_arguments", "run"]

_MOST = 100
_NAMED = 10
_TIMES = 4
_KINDS = {"text": ["text", "markdown"]}


class WhichNamespace(WarehouseError):
    """There are several namespaces: {names}."""

    code = Code.BAD_REQUEST
    hint = "Name one with --namespace."


class NoWords(WarehouseError):
    """There are no words to look for."""

    code = Code.BAD_REQUEST
    hint = 'Say what to find: prismhouse search "a cup of coffee"'


class NoNamespace(WarehouseError):
    """There is no namespace yet, so there is nothing to search."""

    code = Code.NOT_FOUND
    hint = "Make one: prismhouse ingest FOLDER --namespace NAME"


class UnknownNamespace(WarehouseError):
    """There is no namespace {name}{known}."""

    code = Code.NOT_FOUND
    hint = "Make it: prismhouse ingest FOLDER --namespace {name}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = "The key is PRISMHOUSE_API_KEY, else the one in the data folder of the server."
    parser.add_argument("question", metavar="WORDS", help="what to look for, in words")
    parser.add_argument("--namespace", metavar="NAME", help="where (default: the only one there is)")
    parser.add_argument("--limit", type=_limit, default=5, metavar="N", help=f"answers, 1 to {_MOST} (default: 5)")
    parser.add_argument("--kind", choices=KINDS, help="only files of this kind; text takes Markdown along")
    parser.add_argument("--json", action="store_true", help="the answers as JSON")
    parser.add_argument("--no-pictures", action="store_true", help="draw no pictures")
    parser.add_argument("--url", metavar="URL", help="the server (default: PRISMHOUSE_URL, else by the settings)")
    add_data_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ask the running server; return 1 when nothing is found."""
    from prismhouse.cli.search.answers import Lines, answer_of, told_once
    from prismhouse.cli.search.pictures import canvas
    from prismhouse.cli.search.retriever import ready
    from prismhouse.cli.search.screen import show

    if not arguments.question.strip():
        raise NoWords
    settings = load_settings(arguments)
    with Server.of(settings, url=arguments.url, namespace=None) as server:
        name = _entered(server, arguments.namespace)
        documents = _asked(server, ready(server, name), arguments)
        lines = Lines()
        found = (answer_of(document, rank, lines) for rank, document in enumerate(documents, start=1))
        answers = told_once(found, arguments.limit)
    if arguments.json:
        print(json.dumps([answer.as_json() for answer in answers], indent=2, ensure_ascii=False))
    elif answers:
        drawn = None if arguments.no_pictures else canvas(sys.stdout, sys.stdin)
        show(answers, arguments.question, sys.stdout, drawn)
    else:
        print("Nothing found.")
    return 0 if answers else 1


def _asked(server: Server, retriever_id: str, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    body: dict[str, Any] = {
        "inputs": {"query": arguments.question},
        # Several extractors may have made something of one file: it is told once.
        "limit": min(_MOST, _TIMES * arguments.limit),
        "return_presigned_urls": True,
    }
    if arguments.kind:
        kinds = _KINDS.get(arguments.kind, [arguments.kind])
        body["filters"] = {"AND": [{"field": "kind", "operator": "in", "value": kinds}]}
    answer = server.post(f"/v1/retrievers/{retriever_id}/execute", body)
    return list(answer["documents"])


def _entered(server: Server, asked: str | None) -> str:
    """Go into the namespace that was asked for, or the only one there is; return its name."""
    if asked is not None:
        try:
            found = server.get(f"/v1/namespaces/{quote(asked, safe='')}")
        except NotFound as error:
            names = _names(server)
            raise UnknownNamespace(name=asked, known=f"; there is {names}" if names else "") from error
    else:
        there = server.get("/v1/namespaces", limit=_NAMED + 1)["results"]
        if not there:
            raise NoNamespace
        if len(there) > 1:
            raise WhichNamespace(names=_names(server))
        found = there[0]
    server.namespace = str(found["namespace_id"])
    return str(found["namespace_name"])


def _names(server: Server) -> str:
    """Return the names of the first namespaces in words."""
    there = [str(each["namespace_name"]) for each in server.get("/v1/namespaces", limit=_NAMED + 1)["results"]]
    return ", ".join([*there[:_NAMED], *(["..."] if len(there) > _NAMED else [])])


def _limit(text: str) -> int:
    number = int(text)
    if not 1 <= number <= _MOST:
        raise argparse.ArgumentTypeError(f"must be 1 to {_MOST}")
    return number

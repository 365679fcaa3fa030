"""`prismhouse ingest`: arguments."""

from __future__ import annotations

import argparse
from pathlib import Path

from prismhouse.cli.batch.server import Server
from prismhouse.cli.load import add_data_argument, load_settings

__all__ = ["add_arguments", "run"]

_EPILOG = """\
A second run sends only what is new or changed. The key is PRISMHOUSE_API_KEY, else the one in the data folder of the
server. Exit code 0: every file that can be searched is; 1: some failed, each is named."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="its files, and those of its folders")
    parser.add_argument("--namespace", metavar="NAME", required=True, help="where to; made if it is missing")
    parser.add_argument("--bucket", metavar="NAME", help="the bucket (default: named after the folder)")
    parser.add_argument(
        "--collections",
        metavar="PREFIX",
        help="the collections are PREFIX-text, PREFIX-image ... (default: the bucket)",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done; send nothing")
    parser.add_argument(
        "--retry-failed", action="store_true", help="process files again that failed and did not change"
    )
    parser.add_argument(
        "--uploads",
        metavar="N",
        type=int,
        default=4,
        choices=range(1, 33),
        help="files sent at once, 1 to 32 (default: 4)",
    )
    parser.add_argument(
        "--transcribe",
        choices=("auto", "yes", "no"),
        default="auto",
        help="write down speech (default: auto, where the model is installed here)",
    )
    parser.add_argument(
        "--with",
        dest="more",
        metavar="EXTRACTOR",
        action="append",
        default=[],
        help="send pictures, sounds, videos and PDFs through this extractor too; may be repeated; all: every one",
    )
    parser.add_argument("--url", metavar="URL", help="the server (default: PRISMHOUSE_URL, else by the settings)")
    add_data_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ingest the folder on the running server."""
    from prismhouse.cli.ingest.flow import Wanted, ingest

    settings = load_settings(arguments)
    wanted = Wanted(
        folder=arguments.folder,
        namespace=arguments.namespace,
        bucket=arguments.bucket,
        collections=arguments.collections,
        dry_run=arguments.dry_run,
        retry_failed=arguments.retry_failed,
        uploads_at_once=arguments.uploads,
        transcribe=_transcribes(arguments.transcribe),
        limit_bytes=settings.limits.blob_bytes,
        more=arguments.more,
    )
    with Server.of(settings, url=arguments.url, namespace=None) as server:
        return ingest(server, wanted)


def _transcribes(asked: str) -> bool:
    if asked != "auto":
        return asked == "yes"
    from prismhouse.engine.inference.registry import WHISPER_BASE, listed

    return any(model.installed for model in listed() if model.name == WHISPER_BASE)

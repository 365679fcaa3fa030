"""Run every measurement, each in a process of its own, and fail when one missed a bound."""

from __future__ import annotations

import subprocess
import sys

MEASUREMENTS = (
    "start",
    "models",
    "media",
    "extractors",
    "text_batch",
    "engine",
    "batch_tiers",
    "search",
    "documents",
    "uploads",
    "signed_put",
    "annotations",
    "observability",
)

if __name__ == "__main__":
    codes = {name: subprocess.call([sys.executable, "-m", f"bench.{name}", *sys.argv[1:]]) for name in MEASUREMENTS}
    for name, code in codes.items():
        print(f"{name}: {'ok' if code == 0 else f'failed ({code})'}")
    sys.exit(any(codes.values()))

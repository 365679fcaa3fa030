"""PostgreSQL parameters, scaled to the machine or to the container's share of it."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["VOLATILE", "memory_bytes", "parameters"]

VOLATILE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_MIB = 2**20
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_bytes() -> int:
    """Return the memory this process may use: the machine's, or less where a container says so."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name in _CGROUP_LIMITS:
        try:
            text = Path(name).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            total = min(total, int(text))
    return total


def parameters(memory: int, *, shared_buffers_mb: int | None = None, connections: int = 100) -> dict[str, str]:
    """Return server parameters for a machine with `memory` bytes; memory is touched only when it is used.

    Shared segments for parallel work lie in files (`mmap`): /dev/shm is 64 MB in most containers, too little
    for a parallel index build.
    """
    buffers = shared_buffers_mb or max(32, min(1024, memory // 4 // _MIB))
    return {
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "max_connections": str(connections),
        "shared_buffers": f"{buffers}MB",
        "effective_cache_size": f"{max(64, memory // 2 // _MIB)}MB",
        "maintenance_work_mem": f"{max(32, min(1024, memory // 8 // _MIB))}MB",
        "work_mem": "32MB",
        "dynamic_shared_memory_type": "mmap",
        "max_parallel_maintenance_workers": "2",
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "synchronous_commit": "on",
        "random_page_cost": "1.1",
        "jit": "off",
        "autovacuum_vacuum_scale_factor": "0.05",
        "shared_preload_libraries": "pg_stat_statements",
        "log_checkpoints": "off",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }

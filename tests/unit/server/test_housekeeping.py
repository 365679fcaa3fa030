"""The sweep beside the jobs."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from prismhouse.server.housekeeping import keep_swept


class Swept:
    """Fails once, then asks to stop."""

    def __init__(self) -> None:
        self.looks = 0
        self.stop = asyncio.Event()

    async def sweep(self) -> int:
        self.looks += 1
        if self.looks == 1:
            raise OSError("the disk is away")
        self.stop.set()
        return 1


async def test_sweeping_goes_on_when_one_sweep_failed() -> None:
    objects = Swept()

    await asyncio.wait_for(keep_swept(cast("Any", objects), objects.stop, every_seconds=0), 5)

    assert objects.looks == 2

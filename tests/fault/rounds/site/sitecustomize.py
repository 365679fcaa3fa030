"""Imported by every Python process of a server under test, because this folder is on its path."""

import os
import traceback

if os.environ.get("FAULTS_IN"):
    try:
        from tests.fault.rounds import killer

        killer.install()
    except BaseException:  # noqa: BLE001 - shown, and the end
        # Python itself would go on without the points, and nobody would notice.
        traceback.print_exc()
        os._exit(70)

"""Imported by every Python process of a server under test, because this folder is on its path."""

import os

if os.environ.get("FAULTS_IN"):
    from tests.fault.rounds import killer

    killer.install()

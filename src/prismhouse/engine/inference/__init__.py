"""Models: registry, weights, sessions, micro-batches. Read registry.py next."""

from __future__ import annotations

import os

# Onnxruntime reports its use to its maker over the network unless this is set before it is first imported.
# Nothing leaves this machine without being asked for.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

"""Prismhouse: a self-hosted multimodal data warehouse. Start reading at `server/wiring/build.py`."""

__version__ = "0.1.0"

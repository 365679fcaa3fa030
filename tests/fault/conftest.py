"""Fixtures of the fault tests: see tests/running.py."""

from tests.running import api, api_of, private_server, private_worker, server, unique_name, web_404

__all__ = ["api", "api_of", "private_server", "private_worker", "server", "unique_name", "web_404"]

"""Fixtures of the end-to-end tests: see tests/running.py."""

from tests.running import api, api_of, private_server, server, unique_name, web_404

__all__ = ["api", "api_of", "private_server", "server", "unique_name", "web_404"]

"""Fetches from the internet on a user's behalf, which never reach the networks the server stands in.

addresses.py says which addresses are open; fetcher.py connects only to those and bounds time and bytes.
"""

from prismhouse.storage.outbound.fetcher import Fetched, Fetcher, URLRefused, URLUnreachable

__all__ = ["Fetched", "Fetcher", "URLRefused", "URLUnreachable"]

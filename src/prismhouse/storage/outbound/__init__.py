"""Requests to the internet on a user's behalf, which never reach the networks the server stands in.

addresses.py says which addresses are open, guard.py connects only to those; fetcher.py gets files, visitor.py the pages
of a site, and sender.py posts messages, all within bounds of time and bytes.
"""

from prismhouse.storage.outbound.fetcher import Fetched, Fetcher
from prismhouse.storage.outbound.guard import URLRefused, URLUnreachable
from prismhouse.storage.outbound.sender import Posted, Sender
from prismhouse.storage.outbound.visitor import Visited, Visitor

__all__ = ["Fetched", "Fetcher", "Posted", "Sender", "URLRefused", "URLUnreachable", "Visited", "Visitor"]

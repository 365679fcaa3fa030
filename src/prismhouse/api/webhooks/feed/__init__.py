"""The change feed: committed events in one order per organization. service.py gives them their places."""

"""Webhooks: events are rows written with the change they tell of. Read events.py next."""

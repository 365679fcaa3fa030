"""Webhooks: events are rows written with the change they tell of (events.py). feed/ puts them in an order that readers
can follow, deliveries/ sends them; service.py keeps the subscriptions, with secrets apart (channels.py).
"""

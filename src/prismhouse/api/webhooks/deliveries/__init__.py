"""What is sent to webhooks, in order per resource: deliverer.py sends, service.py shows what became of it."""

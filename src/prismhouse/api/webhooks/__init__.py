"""The noun webhooks: routes call the service, the service calls the store."""

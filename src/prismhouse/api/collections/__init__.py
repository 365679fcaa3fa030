"""The noun collections: routes call the service, the service calls the store."""

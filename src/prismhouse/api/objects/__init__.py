"""The noun objects: routes call the service, the service calls the store."""

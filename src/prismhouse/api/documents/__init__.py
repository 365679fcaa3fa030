"""The noun documents: routes call the service, the service calls the store."""

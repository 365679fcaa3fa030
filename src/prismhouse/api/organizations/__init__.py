"""The noun organizations: routes call the service, the service calls the store."""

"""The noun namespaces: routes call the service, the service calls the store."""

"""The noun tasks: routes call the service, the service calls the store."""

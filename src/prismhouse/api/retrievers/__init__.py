"""The noun retrievers: routes call the service, the service calls the store."""

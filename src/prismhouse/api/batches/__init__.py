"""The noun batches: routes call the service, the service calls the store."""

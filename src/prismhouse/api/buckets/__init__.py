"""The noun buckets: routes call the service, the service calls the store."""

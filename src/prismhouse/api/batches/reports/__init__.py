"""What batches tell when they are asked closely: audit, diagnosis, logs, estimate, queue. Read `service` first."""

"""Models: registry, weights, sessions, micro-batches. Read registry.py next."""

"""Queue rows in the same database, enqueued in the caller's transaction. Read queue.py next."""

"""Where things are kept and run: PostgreSQL, blobs, jobs, compute, outbound requests."""

"""HTTP operations that run retrievers, and the record of runs. Start with `routes`."""

"""One folder per noun of the API, everything about it inside. Read buckets/ as an example."""

"""Documents with vectors of one's own: their namespaces, their upsert, and promotion."""

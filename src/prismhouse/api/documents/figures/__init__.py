"""What documents of a collection add up to: aggregations, distinct values, whether they fit the schema."""

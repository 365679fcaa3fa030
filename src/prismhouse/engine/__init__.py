"""Objects become documents here. Knows no HTTP and no tenant."""

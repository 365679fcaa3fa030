"""Plan a batch into tiers, build rows from objects, name what failed."""

"""Documents: what extraction made, flat fields with lineage. Read service.py next."""

"""What users change: documents created, merged, replaced, deleted and shared, one or many. Read model.py next."""

"""Tasks: receipts of work that goes on after the answer. Read service.py next."""

"""The audit log: who did what, when and from where, written with the change itself. Read service.py next."""

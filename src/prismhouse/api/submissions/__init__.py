"""Extractors that users send in as code, for the operator to look at and install. Read service.py next."""

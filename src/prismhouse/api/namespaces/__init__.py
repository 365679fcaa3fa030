"""Namespaces: the walls between workloads of an organization. Read service.py next, then authentication.py."""

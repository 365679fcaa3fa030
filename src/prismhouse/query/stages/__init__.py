"""Retriever stages, one file each, registered by name."""

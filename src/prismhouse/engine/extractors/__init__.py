"""The catalogue of feature extractors, one file or folder each. Read port.py next."""

"""Bytes of raw files behind a port: port.py says what, local.py is the default."""

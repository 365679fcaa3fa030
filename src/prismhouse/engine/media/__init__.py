"""Bytes become parts: sniffing and decoding, each with limits."""

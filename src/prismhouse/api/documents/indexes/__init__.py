"""Payload indexes of a namespace: declared, built in the background, and offered where a field is asked for often."""

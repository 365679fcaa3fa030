"""Uploads: files that clients put into storage themselves. model.py says through which states one goes."""

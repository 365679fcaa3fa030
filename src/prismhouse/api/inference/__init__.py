"""Models asked directly, and extractors tried on a sample: nothing is stored. Read model.py, then service/infer.py."""

"""Annotations: what people decide about documents, in every state it ever had. Read service/annotations.py next."""

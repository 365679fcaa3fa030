"""Files of an organization that belong to no bucket: archives of models and of extractors. Read service.py next."""

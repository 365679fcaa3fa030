"""Collections: one source and one feature extractor that turn objects into documents. Read service/ next."""

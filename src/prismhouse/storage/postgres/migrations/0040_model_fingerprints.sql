-- Which files and settings made the vectors of a feature, where the name of its model alone does not tell.
ALTER TABLE vector_indexes ADD COLUMN model_fingerprint text NOT NULL DEFAULT '';

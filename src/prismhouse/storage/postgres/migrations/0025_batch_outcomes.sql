-- How each row of a chunk ended, beside the counts, so that one can be checked against the other.
ALTER TABLE batch_chunks
  ADD COLUMN outcomes text NOT NULL DEFAULT '',   -- a letter for each source, in order: p(rocessed), f(ailed), s(kipped)
  ADD COLUMN witnesses text[],                    -- for each source the first document made of it, or NULL
  ADD COLUMN done_at timestamptz;
-- What the check found when the tier ended.
ALTER TABLE batch_tiers ADD COLUMN audit jsonb;
-- Documents of the collections before the tier began.
ALTER TABLE batch_counts ADD COLUMN documents_before bigint;
COMMENT ON COLUMN batch_amounts.kind IS 'unit | seconds | documents | chunks | chunk_units | pages_dropped | segments_dropped';
-- Lists show the first objects of each of a hundred batches.
CREATE INDEX batch_objects_in_order ON batch_objects (namespace_id, batch_id, ordinal, object_id);
-- The organization's own list, and a batch that is asked for without its namespace.
CREATE INDEX batches_of_organization ON batches (organization_id, sequence DESC);
CREATE INDEX batches_by_id ON batches (batch_id);

-- Batches that run again: retried rows, resubmitted tiers, work that was taken back.
ALTER TABLE batches
  ADD COLUMN run integer NOT NULL DEFAULT 0,           -- 0, 1, ...: jobs of an earlier run do nothing any more
  ADD COLUMN from_tier smallint NOT NULL DEFAULT 0,    -- a resubmitted batch keeps the tiers before this one
  ADD COLUMN replaces_before timestamptz,              -- documents of runs that had ended by then are old to this one
  ADD COLUMN retry_count integer NOT NULL DEFAULT 0,
  ADD COLUMN last_retry_at timestamptz,
  ADD COLUMN IF NOT EXISTS documents_deleted integer;
ALTER TABLE batch_tiers ADD COLUMN fed_run integer;    -- sources of runs up to this one were handed to the tier
ALTER TABLE batch_counts
  ADD COLUMN canceled integer NOT NULL DEFAULT 0,      -- rows taken back before they ran: not submitted
  ADD COLUMN canceled_at timestamptz;                  -- this collection alone was stopped
ALTER TABLE batch_chunks
  ADD COLUMN run integer NOT NULL DEFAULT 0,
  ADD COLUMN retry boolean NOT NULL DEFAULT false;     -- its rows failed before and are counted as that
COMMENT ON COLUMN batch_chunks.state IS 'pending | queued | done | canceled';
ALTER TABLE row_failures ADD COLUMN retry_count integer NOT NULL DEFAULT 0;

DROP INDEX batch_chunks_open;
CREATE INDEX batch_chunks_open ON batch_chunks (namespace_id, batch_id, tier, chunk) WHERE state IN ('pending', 'queued');

UPDATE batches SET replaces_before = started_at;
UPDATE batch_tiers SET fed_run = 0 WHERE started_at IS NOT NULL;
-- What batches that have ended never ran was taken back.
WITH taken AS (
  UPDATE batch_chunks AS c SET state = 'canceled'
  FROM batches AS b
  WHERE b.namespace_id = c.namespace_id AND b.batch_id = c.batch_id AND c.state IN ('pending', 'queued')
    AND b.status IN ('COMPLETED', 'COMPLETED_WITH_ERRORS', 'FAILED', 'CANCELED')
  RETURNING c.namespace_id, c.batch_id, c.tier, c.collection_id, cardinality(c.source_ids) AS rows
)
UPDATE batch_counts AS n SET submitted = n.submitted - summed.rows, canceled = summed.rows
FROM (SELECT namespace_id, batch_id, tier, collection_id, sum(rows) AS rows FROM taken GROUP BY 1, 2, 3, 4) AS summed
WHERE (n.namespace_id, n.batch_id, n.tier, n.collection_id)
  = (summed.namespace_id, summed.batch_id, summed.tier, summed.collection_id);

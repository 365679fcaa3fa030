-- What happened to a batch, in order; written in the transaction of the change itself.
CREATE TABLE batch_journal (
  namespace_id text NOT NULL,
  batch_id text NOT NULL,
  entry bigint GENERATED ALWAYS AS IDENTITY,
  tier smallint,                                  -- NULL: the batch as a whole
  level text NOT NULL,                            -- info | warning | error
  event text NOT NULL,
  number integer NOT NULL,                        -- 1, 2, ... among the batch's entries of this event; old ones go
  message text NOT NULL,
  details jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (namespace_id, batch_id, entry),
  FOREIGN KEY (namespace_id, batch_id) REFERENCES batches ON DELETE CASCADE
);
CREATE INDEX batch_journal_of_event ON batch_journal (namespace_id, batch_id, event, entry DESC);

-- What a collection's extraction took and dropped, summed over its chunks.
CREATE TABLE batch_amounts (
  namespace_id text NOT NULL,
  batch_id text NOT NULL,
  tier smallint NOT NULL,
  collection_id text NOT NULL,
  kind text NOT NULL,                             -- unit (to be paid for) | seconds | pages_dropped | segments_dropped
  name text NOT NULL,                             -- of the unit, of the step that took the time; why they were dropped
  amount double precision NOT NULL DEFAULT 0,
  PRIMARY KEY (namespace_id, batch_id, tier, collection_id, kind, name),
  FOREIGN KEY (namespace_id, batch_id, tier, collection_id) REFERENCES batch_counts ON DELETE CASCADE
);

-- When the first chunk of the collection began.
ALTER TABLE batch_counts ADD COLUMN started_at timestamptz;
-- NULL: nobody deleted what the batch wrote.
ALTER TABLE batches ADD COLUMN IF NOT EXISTS documents_deleted integer;

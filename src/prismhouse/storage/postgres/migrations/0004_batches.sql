-- Batches: which objects go through which collections, in tiers of chunks, and what became of every row.
CREATE TABLE batches (
  namespace_id text NOT NULL REFERENCES namespaces ON DELETE CASCADE,
  batch_id text NOT NULL,
  sequence bigint GENERATED ALWAYS AS IDENTITY,   -- creation order
  organization_id text NOT NULL,
  bucket_id text NOT NULL,                        -- no reference: a batch outlives its bucket and says what it lost
  type text NOT NULL DEFAULT 'BUCKET',
  batch_name text,
  metadata jsonb NOT NULL DEFAULT '{}',
  dedup_strategy text NOT NULL DEFAULT 'skip',
  requested_collections text[],                   -- NULL: whatever the bucket feeds when it is submitted
  source_filters jsonb,                           -- a trigger's own, beside those of the collections
  salted boolean NOT NULL DEFAULT false,          -- documents get ids of this batch alone
  include_processing_history boolean NOT NULL DEFAULT true,
  webhook_url text,
  object_count integer NOT NULL DEFAULT 0,
  status text NOT NULL DEFAULT 'DRAFT',
  dag_tiers jsonb,
  current_tier smallint,
  task_id text,
  submitted_by_key_id text,
  submitted_by_key_prefix text,
  documents_replaced integer NOT NULL DEFAULT 0,
  failure_reason text,
  failure_category text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  queued_at timestamptz,
  started_at timestamptz,
  completed_at timestamptz,
  PRIMARY KEY (namespace_id, batch_id)
);
CREATE INDEX batches_newest ON batches (namespace_id, sequence DESC);
CREATE INDEX batches_of_bucket ON batches (namespace_id, bucket_id, sequence DESC);
CREATE INDEX batches_active ON batches (namespace_id) WHERE status IN ('QUEUED', 'PROCESSING');

CREATE TABLE batch_objects (
  namespace_id text NOT NULL,
  batch_id text NOT NULL,
  object_id text NOT NULL,
  ordinal integer NOT NULL,
  PRIMARY KEY (namespace_id, batch_id, object_id),
  FOREIGN KEY (namespace_id, batch_id) REFERENCES batches ON DELETE CASCADE
);
CREATE INDEX batch_objects_of_object ON batch_objects (namespace_id, object_id);

CREATE TABLE batch_tiers (
  namespace_id text NOT NULL,
  batch_id text NOT NULL,
  tier smallint NOT NULL,
  task_id text NOT NULL,
  status text NOT NULL DEFAULT 'PENDING',
  started_at timestamptz,
  completed_at timestamptz,
  PRIMARY KEY (namespace_id, batch_id, tier),
  FOREIGN KEY (namespace_id, batch_id) REFERENCES batches ON DELETE CASCADE
);

-- Rows by how they ended, for each collection of a tier.
CREATE TABLE batch_counts (
  namespace_id text NOT NULL,
  batch_id text NOT NULL,
  tier smallint NOT NULL,
  collection_id text NOT NULL,
  extractor_id text NOT NULL,
  fetched integer NOT NULL DEFAULT 0,
  after_filter integer NOT NULL DEFAULT 0,
  deduplicated integer NOT NULL DEFAULT 0,
  missing_inputs integer NOT NULL DEFAULT 0,
  submitted integer NOT NULL DEFAULT 0,
  processed integer NOT NULL DEFAULT 0,
  failed integer NOT NULL DEFAULT 0,
  skipped integer NOT NULL DEFAULT 0,
  incomplete integer NOT NULL DEFAULT 0,          -- processed, with a part of the input lost
  documents_written integer NOT NULL DEFAULT 0,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (namespace_id, batch_id, tier, collection_id),
  FOREIGN KEY (namespace_id, batch_id) REFERENCES batches ON DELETE CASCADE
);

CREATE TABLE batch_chunks (
  namespace_id text NOT NULL,
  batch_id text NOT NULL,
  tier smallint NOT NULL,
  chunk integer NOT NULL,
  collection_id text NOT NULL,
  source_ids text[] NOT NULL,                     -- objects in tier 0, documents later
  state text NOT NULL DEFAULT 'pending',          -- pending | queued | done
  PRIMARY KEY (namespace_id, batch_id, tier, chunk),
  FOREIGN KEY (namespace_id, batch_id) REFERENCES batches ON DELETE CASCADE
);
CREATE INDEX batch_chunks_open ON batch_chunks (namespace_id, batch_id, tier, chunk) WHERE state <> 'done';

CREATE TABLE row_failures (
  namespace_id text NOT NULL,
  batch_id text NOT NULL,
  tier smallint NOT NULL,
  collection_id text NOT NULL,
  source_id text NOT NULL,
  object_id text NOT NULL,
  part smallint NOT NULL DEFAULT 0,               -- 0: the whole row; 1, 2, ...: parts of a row that gave documents
  missing_feature text,                           -- nothing was lost but this feature of the documents
  document_id text,                               -- the upstream document, in later tiers
  stage text NOT NULL,
  code text NOT NULL,
  message text NOT NULL,
  error_type text NOT NULL,
  attempts integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (namespace_id, batch_id, tier, collection_id, source_id, part),
  FOREIGN KEY (namespace_id, batch_id) REFERENCES batches ON DELETE CASCADE
);

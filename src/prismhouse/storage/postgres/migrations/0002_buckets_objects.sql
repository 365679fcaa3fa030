-- Raw files: buckets hold objects, objects hold blobs. Bytes live in the blob store under (namespace, sha256).
CREATE TABLE buckets (
  namespace_id text NOT NULL REFERENCES namespaces ON DELETE CASCADE,
  bucket_id text NOT NULL,
  bucket_name text NOT NULL,
  description text,
  bucket_schema jsonb NOT NULL,
  unique_key jsonb,
  metadata jsonb NOT NULL DEFAULT '{}',
  config jsonb NOT NULL DEFAULT '{}',         -- storage_class, destination, ingest_filter, source_adapter
  status text NOT NULL DEFAULT 'ACTIVE',
  is_locked boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (namespace_id, bucket_id),
  UNIQUE (namespace_id, bucket_name)
);

-- Exact counts without a hot row: each connection adds to one of sixteen rows, a read sums them.
CREATE TABLE bucket_counters (
  namespace_id text NOT NULL,
  bucket_id text NOT NULL,
  shard smallint NOT NULL,
  object_count bigint NOT NULL DEFAULT 0,
  failed_object_count bigint NOT NULL DEFAULT 0,
  size_bytes bigint NOT NULL DEFAULT 0,
  last_upload_at timestamptz,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (namespace_id, bucket_id, shard),
  FOREIGN KEY (namespace_id, bucket_id) REFERENCES buckets ON DELETE CASCADE
);

CREATE TABLE objects (
  namespace_id text NOT NULL,
  bucket_id text NOT NULL,
  object_id text NOT NULL,
  sequence bigint GENERATED ALWAYS AS IDENTITY,   -- creation order
  key_prefix text,
  fields jsonb NOT NULL DEFAULT '{}',             -- custom fields, flat at the body's root
  metadata jsonb,
  edges jsonb,
  source_details jsonb NOT NULL DEFAULT '[]',
  content_hash text,                              -- over the hashes of its blobs, for skip_duplicates
  idempotency_key text,
  unique_value text,
  status text NOT NULL DEFAULT 'PENDING',
  error text,
  lifecycle_state text NOT NULL DEFAULT 'active',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (namespace_id, object_id),
  FOREIGN KEY (namespace_id, bucket_id) REFERENCES buckets ON DELETE CASCADE
);
CREATE INDEX objects_in_order ON objects (namespace_id, bucket_id, sequence);
CREATE INDEX objects_by_content ON objects (namespace_id, bucket_id, content_hash);
CREATE UNIQUE INDEX objects_by_idempotency_key ON objects (namespace_id, bucket_id, idempotency_key);
CREATE UNIQUE INDEX objects_by_unique_value ON objects (namespace_id, bucket_id, unique_value);
CREATE INDEX objects_by_field ON objects USING gin (fields jsonb_path_ops);

CREATE TABLE blobs (
  namespace_id text NOT NULL,
  object_id text NOT NULL,
  blob_id text NOT NULL,
  ordinal integer NOT NULL,
  property text NOT NULL,
  type text NOT NULL,
  key_prefix text,
  metadata jsonb NOT NULL DEFAULT '{}',
  source_url text,                                -- where it was fetched from
  text text,                                      -- short text is kept here; everything else in the blob store
  sha256 text NOT NULL,
  md5 text,
  size_bytes bigint NOT NULL,
  mime_type text,
  filename text,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (namespace_id, blob_id),
  FOREIGN KEY (namespace_id, object_id) REFERENCES objects ON DELETE CASCADE
);
CREATE INDEX blobs_of_object ON blobs (namespace_id, object_id, ordinal);
CREATE INDEX blobs_by_content ON blobs (namespace_id, sha256);

-- Bytes that may have lost their last blob row. A sweep deletes them once it has made sure, and then raises the
-- namespace's generation, by which a writer sees that bytes it had stored before may be gone.
CREATE TABLE blob_garbage (
  namespace_id text NOT NULL REFERENCES namespaces ON DELETE CASCADE,
  sha256 text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (namespace_id, sha256)
);
CREATE TABLE blob_sweeps (
  namespace_id text PRIMARY KEY REFERENCES namespaces ON DELETE CASCADE,
  generation bigint NOT NULL
);

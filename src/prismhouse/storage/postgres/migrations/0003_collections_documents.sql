-- What extraction makes: collections hold documents; vectors stand in one table per (namespace, feature).
CREATE TABLE collections (
  namespace_id text NOT NULL REFERENCES namespaces ON DELETE CASCADE,
  collection_id text NOT NULL,
  collection_name text NOT NULL,
  description text,
  source jsonb NOT NULL,                          -- as answered: type, bucket_ids | collection_ids, source_filters
  source_ids text[] NOT NULL,                     -- the same ids, for finding what a bucket feeds
  feature_extractor jsonb NOT NULL,               -- name, version, resolved parameters, mappings, passthrough
  input_schema jsonb NOT NULL,
  output_schema jsonb NOT NULL,
  vector_indexes jsonb NOT NULL DEFAULT '[]',
  metadata jsonb NOT NULL DEFAULT '{}',
  config jsonb NOT NULL DEFAULT '{}',
  enabled boolean NOT NULL DEFAULT true,
  disabled_reason jsonb,
  schema_version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (namespace_id, collection_id),
  UNIQUE (namespace_id, collection_name)
);
CREATE INDEX collections_by_source ON collections USING gin (source_ids);

-- Exact counts without a hot row: each connection adds to one of sixteen rows, a read sums them.
CREATE TABLE collection_counters (
  namespace_id text NOT NULL,
  collection_id text NOT NULL,
  shard smallint NOT NULL,
  document_count bigint NOT NULL,
  PRIMARY KEY (namespace_id, collection_id, shard),
  FOREIGN KEY (namespace_id, collection_id) REFERENCES collections ON DELETE CASCADE
);

-- A tsvector holds at most 1 MB: longer documents are indexed by their beginning.
CREATE FUNCTION searchable_text(payload jsonb) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN octet_length(payload::text) < 400000 THEN jsonb_to_tsvector('english', payload, '["string"]')
    ELSE to_tsvector('english', left(payload::text, 100000))
  END
$$;

CREATE TABLE documents (
  namespace_id text NOT NULL,
  collection_id text NOT NULL,
  document_id text NOT NULL,
  payload jsonb NOT NULL,                         -- the flat fields a user sees at the document's root
  root_object_id text,
  root_bucket_id text,
  source_type text NOT NULL DEFAULT 'bucket',
  source_object_id text,
  source_document_id text,
  source_collection_id text,
  lineage_path text,
  lineage_chain jsonb NOT NULL DEFAULT '[]',
  processing_tier smallint NOT NULL DEFAULT 0,
  source_blobs jsonb NOT NULL DEFAULT '[]',
  document_blobs jsonb NOT NULL DEFAULT '[]',
  internal jsonb NOT NULL DEFAULT '{}',           -- modality, mime_type, size_bytes, processing ...
  batch_id text,
  content_hash text,
  searchable tsvector GENERATED ALWAYS AS (searchable_text(payload)) STORED,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (namespace_id, document_id),
  FOREIGN KEY (namespace_id, collection_id) REFERENCES collections ON DELETE CASCADE
);
CREATE INDEX documents_of_collection ON documents (namespace_id, collection_id, document_id);
CREATE INDEX documents_by_field ON documents USING gin (payload jsonb_path_ops);
CREATE INDEX documents_by_text ON documents USING gin (searchable);
CREATE INDEX documents_of_object ON documents (namespace_id, root_object_id, collection_id);
CREATE INDEX documents_of_document ON documents (namespace_id, source_document_id) WHERE source_document_id IS NOT NULL;
CREATE INDEX documents_of_batch ON documents (namespace_id, batch_id);

-- A collection on its way out takes its counters along: there is nothing left to count for it.
CREATE FUNCTION count_documents() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO collection_counters AS kept (namespace_id, collection_id, shard, document_count)
  SELECT c.namespace_id, c.collection_id, pg_backend_pid() % 16, changed.documents
  FROM (
    SELECT namespace_id, collection_id, count(*) * CASE TG_OP WHEN 'DELETE' THEN -1 ELSE 1 END AS documents
    FROM changed GROUP BY namespace_id, collection_id
  ) AS changed
  JOIN collections AS c USING (namespace_id, collection_id)
  ORDER BY 1, 2
  ON CONFLICT (namespace_id, collection_id, shard)
  DO UPDATE SET document_count = kept.document_count + excluded.document_count;
  RETURN NULL;
END
$$;
CREATE TRIGGER documents_count_new AFTER INSERT ON documents
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_documents();
CREATE TRIGGER documents_count_gone AFTER DELETE ON documents
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_documents();

CREATE TABLE vector_indexes (
  namespace_id text NOT NULL REFERENCES namespaces ON DELETE CASCADE,
  feature_uri text NOT NULL,
  table_name text NOT NULL UNIQUE,                -- (namespace_id, collection_id, document_id, embedding halfvec(d))
  dimensions integer NOT NULL,
  distance text NOT NULL,                         -- cosine | dot | euclidean
  model text NOT NULL,
  approximate boolean NOT NULL DEFAULT false,     -- an HNSW index stands
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (namespace_id, feature_uri)
);

-- Vectors that users bring: one for a document (dense), several (multi: a row for each), or sparse ones.
ALTER TABLE vector_indexes ADD COLUMN kind text NOT NULL DEFAULT 'dense';

-- What an upsert with an idempotency key answered, so that the same request again answers the same.
CREATE TABLE upsert_receipts (
  namespace_id text NOT NULL REFERENCES namespaces ON DELETE CASCADE,
  idempotency_key text NOT NULL,
  body_sha256 text NOT NULL,
  answer jsonb,                                   -- null until the upsert commits with it
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (namespace_id, idempotency_key)
);
CREATE INDEX upsert_receipts_by_age ON upsert_receipts (namespace_id, created_at);

-- A sparse vector as the API shows it; its text counts from 1: {3:0.5,7:1}/1000.
CREATE FUNCTION sparse_json(given sparsevec) RETURNS jsonb LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT jsonb_build_object(
    'indices', coalesce(jsonb_agg(split_part(e, ':', 1)::int - 1 ORDER BY n), '[]'),
    'values', coalesce(jsonb_agg(split_part(e, ':', 2)::real ORDER BY n), '[]')
  )
  FROM unnest(string_to_array(trim(both '{}' from split_part(given::text, '/', 1)), ',')) WITH ORDINALITY AS t (e, n)
$$;

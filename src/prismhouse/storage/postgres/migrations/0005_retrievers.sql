-- Vectors leave with their documents, in the same transaction: one statement per vector table and delete.
CREATE FUNCTION delete_vectors_of_documents() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  vectors text;
BEGIN
  FOR vectors IN
    SELECT table_name FROM vector_indexes WHERE namespace_id IN (SELECT DISTINCT namespace_id FROM gone)
  LOOP
    EXECUTE format(
      'DELETE FROM %I AS v USING gone WHERE v.namespace_id = gone.namespace_id AND v.document_id = gone.document_id',
      vectors
    );
  END LOOP;
  RETURN NULL;
END
$$;

CREATE TRIGGER documents_delete_vectors AFTER DELETE ON documents
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION delete_vectors_of_documents();

CREATE TABLE retrievers (
  namespace_id text NOT NULL REFERENCES namespaces ON DELETE CASCADE,
  retriever_id text NOT NULL,
  retriever_name text NOT NULL,
  version integer NOT NULL DEFAULT 1,
  definition jsonb NOT NULL,                      -- every other field of the retriever, as answered
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  created_by text,
  updated_by text,
  PRIMARY KEY (namespace_id, retriever_id),
  UNIQUE (namespace_id, retriever_name)
);

CREATE TABLE retriever_executions (
  namespace_id text NOT NULL REFERENCES namespaces ON DELETE CASCADE,
  execution_id text NOT NULL,
  retriever_id text,                              -- null: an ad hoc run
  status text NOT NULL,
  duration_ms double precision NOT NULL,
  returned integer NOT NULL,
  inputs_hash text NOT NULL,
  error text,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (namespace_id, execution_id),
  FOREIGN KEY (namespace_id, retriever_id) REFERENCES retrievers ON DELETE CASCADE
);
CREATE INDEX executions_of_retriever ON retriever_executions (namespace_id, retriever_id, created_at DESC);

-- What filters compile to. A text that is no date, or out of range, is null rather than an error.
CREATE FUNCTION as_moment(given text) RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN pg_input_is_valid(m.zoned, 'timestamptz') THEN m.zoned::timestamptz
  END
  FROM (
    SELECT CASE
      WHEN given ~ '^[0-9]{4}-[0-9][0-9]-[0-9][0-9]$' THEN given || 'T00:00:00Z'
      WHEN given ~ '^[0-9]{4}-[0-9][0-9]-[0-9][0-9][Tt ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?$' THEN given || 'Z'
      WHEN given ~ '^[0-9]{4}-[0-9][0-9]-[0-9][0-9][Tt ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?([Zz]|[+-](0[0-9]|1[0-4]):?[0-5][0-9])$'
        THEN given
    END AS zoned
  ) AS m
$$;

-- Terms that a document must hold if one of its strings equals one of `given`, letter case aside; null when
-- nothing can be said (a value of stop words only). Documents too long to be indexed whole carry a mark.
CREATE FUNCTION equality_candidates(given text[]) RETURNS tsquery LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  result tsquery := '''<truncated>'''::tsquery;
  one text;
  terms tsquery;
BEGIN
  FOREACH one IN ARRAY given LOOP
    terms := plainto_tsquery('english', one);
    IF numnode(terms) = 0 THEN
      RETURN NULL;
    END IF;
    result := result || terms;
  END LOOP;
  RETURN result;
END
$$;

CREATE OR REPLACE FUNCTION searchable_text(payload jsonb) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN octet_length(payload::text) < 400000 THEN jsonb_to_tsvector('english', payload, '["string"]')
    ELSE to_tsvector('english', left(payload::text, 100000)) || array_to_tsvector(ARRAY['<truncated>'])
  END
$$;

-- The points a value holds: {lat, lon}, [lon, lat], or a list of either; what is no point gives nulls.
CREATE FUNCTION geo_points(given jsonb) RETURNS TABLE (lat float8, lon float8)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN c.is_point THEN c.lat::float8 END, CASE WHEN c.is_point THEN c.lon::float8 END
  FROM (
    SELECT x.lat, x.lon, jsonb_typeof(x.lat) = 'number' AND jsonb_typeof(x.lon) = 'number' AS is_point
    FROM (
      SELECT given AS one
      UNION ALL
      SELECT e FROM jsonb_array_elements(CASE WHEN jsonb_typeof(given) = 'array' THEN given ELSE '[]' END) AS e
    ) AS p,
    LATERAL (
      SELECT CASE jsonb_typeof(p.one)
               WHEN 'object' THEN p.one -> 'lat'
               WHEN 'array' THEN CASE WHEN jsonb_array_length(p.one) = 2 THEN p.one -> 1 END
             END AS lat,
             CASE jsonb_typeof(p.one)
               WHEN 'object' THEN p.one -> 'lon'
               WHEN 'array' THEN CASE WHEN jsonb_array_length(p.one) = 2 THEN p.one -> 0 END
             END AS lon
    ) AS x
  ) AS c
$$;

-- Great-circle distance on a sphere of the Earth's mean radius.
CREATE FUNCTION metres_between(lat_a float8, lon_a float8, lat_b float8, lon_b float8) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT 2 * 6371008.8 * asin(sqrt(least(1.0,
    power(sin(radians(lat_b - lat_a) / 2), 2)
    + cos(radians(lat_a)) * cos(radians(lat_b)) * power(sin(radians(lon_b - lon_a) / 2), 2)
  )))
$$;

-- Any of the words of a text; nothing for a text of stop words only.
CREATE FUNCTION any_terms(given text) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT replace(plainto_tsquery('english', given)::text, ' & ', ' | ')::tsquery
$$;

-- A document as lists show it. Blobs get an address, and what extraction made of them is named at the root.
CREATE FUNCTION shown_document(d documents) RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN b.named IS NULL THEN '{}' ELSE b.named END || d.payload || jsonb_build_object(
    'document_id', d.document_id,
    'collection_id', d.collection_id,
    'document_blobs', coalesce(b.shown, '[]'),
    'searchable_at', to_char(d.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    '_internal', d.internal || jsonb_build_object(
      'internal_id', (SELECT organization_id FROM namespaces AS n WHERE n.namespace_id = d.namespace_id),
      'namespace_id', d.namespace_id,
      'created_at', to_char(d.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
      'updated_at', to_char(d.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
      'lineage', jsonb_build_object(
        'root_object_id', d.root_object_id,
        'root_bucket_id', d.root_bucket_id,
        'source_type', d.source_type,
        'source_object_id', d.source_object_id,
        'source_document_id', d.source_document_id,
        'source_collection_id', d.source_collection_id,
        'path', d.lineage_path,
        'chain', d.lineage_chain
      ),
      'source_blobs', d.source_blobs,
      'content_hash', d.content_hash,
      'batch_id', d.batch_id
    )
  )
  FROM (
    SELECT jsonb_agg(one.blob) AS shown,
           jsonb_object_agg(one.blob ->> 'field', one.blob -> 'url')
             FILTER (WHERE one.blob ->> 'role' <> 'source' AND one.blob ? 'field') AS named
    FROM (
      SELECT jsonb_build_object(
               'url', 'prismhouse://blobs/' || coalesce(e ->> 'checksum', 'unknown'), 'role', 'source', 'type', 'other'
             ) || jsonb_strip_nulls(e)
               || CASE WHEN e ->> 'type' NOT IN ('video', 'image', 'audio', 'text', 'pdf', 'other')
                    THEN '{"type": "other"}'::jsonb ELSE '{}' END AS blob
      FROM jsonb_array_elements(d.document_blobs) AS e
    ) AS one
  ) AS b
$$;

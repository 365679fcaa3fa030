-- What a field is sorted, grouped and ranged by, as one jsonb array: [] when it is absent, [value] for one value, and
-- all elements where a path crosses or ends in an array. Arrays compare by length first, so that absent values,
-- single values by type, and several values stand in that order. A key never outgrows a btree row: what is longer
-- keeps its kind, and a text its beginning.
CREATE FUNCTION field_key(record jsonb, path jsonpath) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  found jsonb := jsonb_path_query_array(record, path);
BEGIN
  IF octet_length(found::text) <= 1000 THEN
    RETURN found;
  ELSIF jsonb_array_length(found) > 1 THEN
    RETURN '[null, null]';
  ELSIF jsonb_typeof(found -> 0) = 'string' THEN
    RETURN jsonb_build_array(left(found ->> 0, 200));
  ELSIF jsonb_typeof(found -> 0) = 'number' THEN
    RETURN found;
  END IF;
  RETURN '[{}]';
END
$$;

-- One row for each declared index of a user's field that stands, is being built, or could not be built.
CREATE TABLE payload_indexes (
  namespace_id text NOT NULL REFERENCES namespaces ON DELETE CASCADE,
  field_name text NOT NULL,
  index_type text NOT NULL,
  index_name text NOT NULL,
  state text NOT NULL,                            -- building | ready | failed
  error text,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (namespace_id, field_name)
);

INSERT INTO payload_indexes (namespace_id, field_name, index_type, index_name, state)
SELECT n.namespace_id, e ->> 'field_name', e ->> 'type',
       'payload_index_' || left(md5(n.namespace_id || '/' || (e ->> 'field_name')), 24), 'building'
FROM namespaces AS n, jsonb_array_elements(n.payload_indexes) AS e
WHERE n.status = 'active' AND e ->> 'is_protected' = 'false'
  AND e ->> 'type' IN ('keyword', 'integer', 'float', 'bool', 'datetime', 'uuid')
  AND e ->> 'field_name' !~ '^(_internal|document_blobs|source_blobs)(\.|$)'
ON CONFLICT DO NOTHING;

-- How often a field without an index was filtered or sorted by, per hour.
CREATE TABLE field_usage (
  namespace_id text NOT NULL REFERENCES namespaces ON DELETE CASCADE,
  field_name text NOT NULL,
  used_in timestamptz NOT NULL,                   -- the hour
  queries bigint NOT NULL,
  total_ms double precision NOT NULL,
  slowest_ms double precision NOT NULL,
  first_used_at timestamptz NOT NULL,
  last_used_at timestamptz NOT NULL,
  PRIMARY KEY (namespace_id, field_name, used_in)
);

-- System fields that lists are sorted and grouped by.
CREATE INDEX documents_by_creation ON documents (namespace_id, collection_id, created_at, document_id);
CREATE INDEX documents_by_change ON documents (namespace_id, collection_id, updated_at, document_id);
CREATE INDEX documents_of_source ON documents (namespace_id, source_object_id, document_id);

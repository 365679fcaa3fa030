-- Who may see and change a document stands in `internal -> '_acl'`: {owner, read, write, public}.
CREATE FUNCTION document_readers(internal jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT array_remove(
    ARRAY[
      CASE WHEN internal -> '_acl' -> 'public' = 'true' THEN 'public' END,
      'user:' || (internal -> '_acl' ->> 'owner')
    ] || ARRAY(
      SELECT 'user:' || reader.name
      FROM unnest(ARRAY[internal -> '_acl' -> 'read', internal -> '_acl' -> 'write']) AS listed (names),
           jsonb_array_elements_text(CASE WHEN jsonb_typeof(listed.names) = 'array' THEN listed.names ELSE '[]' END)
             AS reader (name)
    ),
    NULL)
$$;
CREATE INDEX documents_by_reader ON documents USING gin (document_readers(internal)) WHERE internal ? '_acl';

-- The one condition of reading, for the end user that the transaction was begun for (storage/postgres/readers.py).
CREATE FUNCTION may_read(internal jsonb) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT internal ? '_acl'
    AND document_readers(internal) && ARRAY['public', 'user:' || current_setting('prismhouse.principal', true)]
$$;

-- The one condition of changing; nobody named is a key of the organization, which may change everything.
CREATE FUNCTION may_write(internal jsonb, principal text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT principal IS NULL
    OR coalesce(internal -> '_acl' ->> 'owner' = principal OR internal -> '_acl' -> 'write' ? principal, false)
$$;

-- What end users read from instead of the tables: their search path begins with this schema, so that no statement
-- can forget the condition. Made anew after every migration, for columns that `documents` gained.
CREATE SCHEMA readable;
CREATE FUNCTION make_readable_views() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  CREATE OR REPLACE VIEW readable.documents AS SELECT d.* FROM documents AS d WHERE may_read(d.internal);
  CREATE OR REPLACE VIEW readable.every_document AS SELECT d.* FROM documents AS d;
END
$$;
SELECT make_readable_views();
CREATE VIEW readable.collection_counters AS
  SELECT d.namespace_id, d.collection_id, 0::smallint AS shard, count(*) AS document_count
  FROM readable.documents AS d GROUP BY d.namespace_id, d.collection_id;
CREATE FUNCTION shown_document(d readable.documents) RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT shown_document(ROW(d.*)::public.documents)
$$;

-- One value set deep inside another: what is missing on the way is made, an item of a list is named by its place.
CREATE FUNCTION put_at(target jsonb, path text[], given jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  base jsonb := CASE WHEN jsonb_typeof(target) = 'object' THEN target ELSE '{}' END;
BEGIN
  IF cardinality(path) = 0 THEN
    RETURN given;
  END IF;
  IF jsonb_typeof(target) = 'array' AND path[1] ~ '^[0-9]{1,9}$' AND path[1]::int < jsonb_array_length(target) THEN
    RETURN jsonb_set(target, path[1:1], put_at(target -> path[1]::int, path[2:], given));
  END IF;
  RETURN base || jsonb_build_object(path[1], put_at(base -> path[1], path[2:], given));
END
$$;

-- `changes` is a list of {path, value}, or {path} alone to remove what stands there.
CREATE FUNCTION changed_payload(payload jsonb, changes jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  one jsonb;
  path text[];
BEGIN
  FOR one IN SELECT value FROM jsonb_array_elements(changes) LOOP
    path := ARRAY(SELECT jsonb_array_elements_text(one -> 'path'));
    payload := CASE
      WHEN one ? 'value' THEN put_at(payload, path, one -> 'value')
      -- A list has no names that could be removed.
      WHEN jsonb_typeof(payload #> trim_array(path, 1)) = 'object' THEN payload #- path
      ELSE payload
    END;
  END LOOP;
  RETURN payload;
END
$$;

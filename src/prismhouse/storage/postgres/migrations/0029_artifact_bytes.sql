-- Bytes that documents own (thumbnails, clips) are references too, and go to the sweep when their document goes or
-- has others. What a document only links to (role `aux`) belongs to its object.
CREATE FUNCTION own_files(document_blobs jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT coalesce(array_agg(file ->> 'checksum'), '{}') FROM jsonb_array_elements(document_blobs) AS file
  WHERE file ->> 'checksum' IS NOT NULL AND file ->> 'role' IS DISTINCT FROM 'aux'
$$;
CREATE INDEX documents_by_file ON documents USING gin (own_files(document_blobs)) WHERE document_blobs <> '[]';

-- A namespace that is being deleted takes its bytes along as a whole: nothing is listed for it.
CREATE FUNCTION list_files_of_documents() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO blob_garbage (namespace_id, sha256)
  SELECT DISTINCT gone.namespace_id, file.sha256
  FROM gone JOIN namespaces USING (namespace_id), unnest(own_files(gone.document_blobs)) AS file (sha256)
  WHERE gone.document_blobs <> '[]'
  ORDER BY 1, 2
  ON CONFLICT (namespace_id, sha256) DO UPDATE SET created_at = now();
  RETURN NULL;
END
$$;
CREATE TRIGGER documents_list_files_gone AFTER DELETE ON documents
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION list_files_of_documents();

CREATE FUNCTION list_replaced_files() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO blob_garbage (namespace_id, sha256)
  SELECT DISTINCT before.namespace_id, file.sha256
  FROM before JOIN after USING (namespace_id, document_id), unnest(own_files(before.document_blobs)) AS file (sha256)
  WHERE before.document_blobs <> '[]' AND before.document_blobs <> after.document_blobs
    AND NOT own_files(after.document_blobs) @> ARRAY[file.sha256]
  ORDER BY 1, 2
  ON CONFLICT (namespace_id, sha256) DO UPDATE SET created_at = now();
  RETURN NULL;
END
$$;
CREATE TRIGGER documents_list_files_replaced AFTER UPDATE ON documents
  REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION list_replaced_files();

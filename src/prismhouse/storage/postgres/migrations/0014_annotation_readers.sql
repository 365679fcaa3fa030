-- The one condition of reading where a transaction writes and sees the tables; nobody named reads everything.
CREATE FUNCTION may_be_read_by(internal jsonb, principal text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT principal IS NULL OR document_readers(internal) && ARRAY['public', 'user:' || principal]
$$;

-- What was decided about a document is shown to those who may read the document, and to no end user once it is gone.
CREATE OR REPLACE FUNCTION make_readable_views() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  CREATE OR REPLACE VIEW readable.documents AS SELECT d.* FROM documents AS d WHERE may_read(d.internal);
  CREATE OR REPLACE VIEW readable.every_document AS SELECT d.* FROM documents AS d;
  CREATE OR REPLACE VIEW readable.annotations AS SELECT a.* FROM annotations AS a WHERE EXISTS (
    SELECT FROM documents AS d
    WHERE d.namespace_id = a.namespace_id AND d.document_id = a.document_id AND may_read(d.internal));
  CREATE OR REPLACE VIEW readable.annotation_history AS SELECT a.* FROM annotation_history AS a WHERE EXISTS (
    SELECT FROM documents AS d
    WHERE d.namespace_id = a.namespace_id AND d.document_id = a.document_id AND may_read(d.internal));
END
$$;
SELECT make_readable_views();

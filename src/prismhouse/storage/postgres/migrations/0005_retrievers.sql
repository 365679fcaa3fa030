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

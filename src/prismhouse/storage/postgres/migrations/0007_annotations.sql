-- What people decided about documents. `annotations` holds what stands now; `annotation_history` every state that
-- stood before, from updated_at until ended_at, so that the states at an instant are a plain range of rows.
CREATE TABLE annotations (
  namespace_id text NOT NULL REFERENCES namespaces ON DELETE CASCADE,
  annotation_id text NOT NULL,
  document_id text NOT NULL,                      -- no reference: a decision outlives its document
  collection_id text,
  label text NOT NULL,
  confidence double precision,
  reasoning text,
  payload json,                                   -- not jsonb: given back as it came, and never looked into here
  metadata json,
  retriever_id text,
  execution_id text,
  stage_name text,
  actor_id text NOT NULL,
  actor_type text NOT NULL,                       -- user | api_key | system
  version integer NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,                -- when this version began
  PRIMARY KEY (namespace_id, annotation_id)
);
-- A page is read in order from one of these, and counted in it without touching the rows.
CREATE INDEX annotations_newest ON annotations (namespace_id, created_at DESC, annotation_id);
CREATE INDEX annotations_of_document ON annotations (namespace_id, document_id, created_at DESC, annotation_id);
CREATE INDEX annotations_by_label ON annotations (namespace_id, label, created_at DESC, annotation_id);
CREATE INDEX annotations_of_collection ON annotations (namespace_id, collection_id, label, created_at DESC, annotation_id)
  WHERE collection_id IS NOT NULL;
CREATE INDEX annotations_of_actor ON annotations (namespace_id, actor_id, label, created_at DESC, annotation_id);
CREATE INDEX annotations_of_retriever ON annotations (namespace_id, retriever_id, label, created_at DESC, annotation_id)
  WHERE retriever_id IS NOT NULL;

CREATE TABLE annotation_history (
  namespace_id text NOT NULL REFERENCES namespaces ON DELETE CASCADE,
  annotation_id text NOT NULL,
  document_id text NOT NULL,
  collection_id text,
  label text NOT NULL,
  confidence double precision,
  reasoning text,
  payload json,                                   -- not jsonb: given back as it came, and never looked into here
  metadata json,
  retriever_id text,
  execution_id text,
  stage_name text,
  actor_id text NOT NULL,
  actor_type text NOT NULL,
  version integer NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  ended_at timestamptz NOT NULL,                  -- the state stood in [updated_at, ended_at)
  ended_by text NOT NULL,
  ended_by_type text NOT NULL,
  changed text[],                                 -- the fields that the edit changed; null: the annotation was deleted
  PRIMARY KEY (namespace_id, annotation_id, version)
);
CREATE INDEX annotation_history_ended ON annotation_history (namespace_id, ended_at);
CREATE INDEX annotation_history_newest ON annotation_history (namespace_id, created_at DESC, annotation_id);
CREATE INDEX annotation_history_of_document
  ON annotation_history (namespace_id, document_id, created_at DESC, annotation_id);

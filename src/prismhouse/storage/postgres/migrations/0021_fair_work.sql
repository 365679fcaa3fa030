-- Whose turn it is among those who wait for a worker: namespaces, or '' for the house itself.
CREATE SEQUENCE job_turn;
CREATE TABLE job_turns (
  share text PRIMARY KEY,
  turn bigint NOT NULL
) WITH (fillfactor = 50);

-- What a row of a collection costs, learned from the chunks that ran; older measurements weigh less.
CREATE TABLE extraction_rates (
  namespace_id text NOT NULL REFERENCES namespaces ON DELETE CASCADE,
  collection_id text NOT NULL,
  extractor_id text NOT NULL,
  seconds double precision NOT NULL,
  rows double precision NOT NULL,
  bytes double precision NOT NULL,
  documents double precision NOT NULL,
  measured_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (namespace_id, collection_id, extractor_id)
);

ALTER TABLE batches ADD COLUMN priority smallint NOT NULL DEFAULT 0;   -- among the batches of its namespace
ALTER TABLE batch_chunks
  ADD COLUMN attempt smallint NOT NULL DEFAULT 1,   -- the how-manieth try of its rows, after failures that pass
  ADD COLUMN not_before timestamptz,                -- when that try is due
  ADD COLUMN deaths smallint NOT NULL DEFAULT 0;    -- times that it was begun and its worker was not heard of again

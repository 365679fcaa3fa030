-- The last start of a chunk: a worker that was not heard of again is held against a row only when nothing else was there.
ALTER TABLE batch_chunks
  ADD COLUMN begun_by text,                               -- an id of the start; NULL when its worker took it back
  ADD COLUMN begun_in timestamptz,                        -- since when the database had been running without a break
  ADD COLUMN begun_alone boolean NOT NULL DEFAULT false,  -- one row, and no other chunk in that process
  ADD COLUMN proofs smallint NOT NULL DEFAULT 0;          -- deaths over such a start, with the database running on

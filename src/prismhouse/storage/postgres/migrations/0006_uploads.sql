-- Files that clients put into storage themselves: one row from the moment a signed URL is asked for.
CREATE TABLE uploads (
  namespace_id text NOT NULL,
  bucket_id text NOT NULL,
  upload_id text NOT NULL,
  sequence bigint GENERATED ALWAYS AS IDENTITY,   -- creation order, also within one statement
  filename text NOT NULL,
  content_type text NOT NULL,
  declared_size_bytes bigint,
  file_hash text,                                 -- sha256 as the client declared it
  s3_key text NOT NULL,                           -- where the file is staged
  blob_property text,
  blob_type text,
  metadata jsonb NOT NULL DEFAULT '{}',           -- tracking only
  object_metadata jsonb NOT NULL DEFAULT '{}',    -- becomes the object's fields
  create_object_on_confirm boolean NOT NULL DEFAULT true,
  skip_duplicates boolean NOT NULL DEFAULT true,
  presigned_url_expiration integer NOT NULL,
  expires_at timestamptz NOT NULL,
  status text NOT NULL DEFAULT 'PENDING',
  message text,
  -- What confirmation found.
  etag text,                                      -- without quotes
  sha256 text,                                    -- bytes that this upload keeps; null when its object was deleted
  md5 text,
  size_bytes bigint,
  verified_at timestamptz,
  completed_at timestamptz,
  duplicate_of_upload_id text,
  object_id text,
  task_id text,
  batch_id text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (namespace_id, upload_id),
  FOREIGN KEY (namespace_id, bucket_id) REFERENCES buckets ON DELETE CASCADE
);
CREATE INDEX uploads_in_order ON uploads (namespace_id, bucket_id, created_at, sequence);
CREATE INDEX uploads_by_hash ON uploads (namespace_id, bucket_id, sha256) WHERE status = 'COMPLETED';
CREATE INDEX uploads_by_content ON uploads (namespace_id, sha256) WHERE sha256 IS NOT NULL;
CREATE INDEX uploads_that_expire ON uploads (expires_at) WHERE status IN ('PENDING', 'IN_PROGRESS');
CREATE INDEX uploads_that_ended ON uploads (updated_at) WHERE status IN ('FAILED', 'CANCELED');
CREATE INDEX uploads_of_object ON uploads (namespace_id, object_id) WHERE object_id IS NOT NULL;
CREATE UNIQUE INDEX uploads_by_key ON uploads (s3_key);

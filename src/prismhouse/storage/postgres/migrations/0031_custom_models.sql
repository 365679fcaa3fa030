-- Files that belong to an organization, not to a bucket: archives of models and of extractors. A row stands before the
-- bytes are used, so that what a crash leaves over is found; bytes that nothing names are deleted by a sweep.
CREATE TABLE archives (
  organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
  sha256 text NOT NULL,
  size_bytes bigint NOT NULL,
  touched_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (organization_id, sha256)
);

-- Files that clients put into storage by a signed URL: one row from the moment the URL is asked for.
CREATE TABLE archive_uploads (
  organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
  upload_id text NOT NULL PRIMARY KEY,
  kind text NOT NULL,                             -- model | extractor
  request jsonb NOT NULL,                         -- what was asked for, defaults filled in
  s3_key text NOT NULL UNIQUE,                    -- where the file is staged
  expires_at timestamptz NOT NULL,
  status text NOT NULL DEFAULT 'PENDING',         -- PENDING | COMPLETED | FAILED
  answer jsonb,                                   -- what confirming it gave
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX archive_uploads_in_order ON archive_uploads (organization_id, kind, created_at);

CREATE TABLE models (
  model_id text NOT NULL PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
  owner_namespace_id text REFERENCES namespaces ON DELETE CASCADE,  -- null: the organization's
  name text NOT NULL,
  version text NOT NULL,
  model_format text NOT NULL,
  description text,
  source text NOT NULL DEFAULT 'customer',
  framework text,
  task_type text,
  resource_requirements jsonb NOT NULL DEFAULT '{}',
  sha256 text NOT NULL,
  md5 text NOT NULL,
  size_bytes bigint NOT NULL,
  files jsonb NOT NULL DEFAULT '{}',              -- size in bytes by name
  dimensions integer NOT NULL DEFAULT 0,          -- 0: nobody has loaded it yet
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  FOREIGN KEY (organization_id, sha256) REFERENCES archives
);
CREATE UNIQUE INDEX models_by_name ON models (organization_id, name, version) WHERE owner_namespace_id IS NULL;
CREATE UNIQUE INDEX models_by_own_name ON models (owner_namespace_id, name, version)
  WHERE owner_namespace_id IS NOT NULL;
CREATE INDEX models_by_archive ON models (organization_id, sha256);

-- Where a model may be used: an organization's where it is enabled, a namespace's own from the start.
CREATE TABLE namespace_models (
  namespace_id text NOT NULL REFERENCES namespaces ON DELETE CASCADE,
  model_id text NOT NULL REFERENCES models ON DELETE CASCADE,
  status text NOT NULL DEFAULT 'not_deployed',    -- not_deployed | pending | deployed | failed
  message text,
  resource_overrides jsonb,
  run integer NOT NULL DEFAULT 0,                 -- a deployment begun before this one changes nothing
  deployed_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (namespace_id, model_id)
);
CREATE INDEX namespace_models_by_model ON namespace_models (model_id);

-- Extractors sent in as code, for the operator to look at and install.
CREATE TABLE extractor_submissions (
  submission_id text NOT NULL PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
  extractor_name text NOT NULL,
  version text NOT NULL,
  description text NOT NULL DEFAULT '',
  status text NOT NULL,                           -- pending_upload | pending_review | rejected
  s3_key text NOT NULL,
  sha256 text,
  md5 text,
  size_bytes bigint,
  manifest jsonb,
  findings jsonb NOT NULL DEFAULT '[]',           -- what speaks against it
  message text,
  submitted_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  FOREIGN KEY (organization_id, sha256) REFERENCES archives
);
CREATE INDEX extractor_submissions_in_order ON extractor_submissions (organization_id, submitted_at);

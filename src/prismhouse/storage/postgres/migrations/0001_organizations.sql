-- Who may call, and the two nouns everything else hangs on: namespaces and tasks.
CREATE TABLE organizations (
  organization_id text PRIMARY KEY,
  organization_name text NOT NULL,
  metadata jsonb NOT NULL DEFAULT '{}',
  profile jsonb NOT NULL DEFAULT '{}',        -- logo_url, billing_email, notifications_email
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE users (
  user_id text PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
  email text NOT NULL,
  user_name text NOT NULL,
  avatar_url text,
  role text NOT NULL DEFAULT 'member',
  status text NOT NULL DEFAULT 'active',
  metadata jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX users_by_email ON users (organization_id, lower(email));

CREATE TABLE api_keys (
  key_id text PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
  user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
  key_hash text NOT NULL UNIQUE,              -- sha256 in hex; the key itself is never kept
  key_prefix text NOT NULL,
  key_type text NOT NULL DEFAULT 'standard',
  name text NOT NULL,
  description text,
  permissions text[] NOT NULL,
  scopes jsonb NOT NULL DEFAULT '[]',         -- [] is unrestricted; namespaces by id, "*" or "prefix*"
  rate_limit_override integer,
  allowed_origins text[],
  principal_id text,
  status text NOT NULL DEFAULT 'active',
  is_bootstrap boolean NOT NULL DEFAULT false,
  expires_at timestamptz,
  last_used_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  created_by text,
  revoked_at timestamptz,
  revoked_by text
);
CREATE INDEX api_keys_of_user ON api_keys (organization_id, user_id);
CREATE UNIQUE INDEX api_keys_one_bootstrap ON api_keys (organization_id) WHERE is_bootstrap;
CREATE UNIQUE INDEX api_keys_live_name ON api_keys (user_id, name) WHERE status = 'active';

-- The one place that says whether a key's scopes open a namespace; [] opens all.
CREATE FUNCTION key_opens(scopes jsonb, wanted text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT scopes = '[]' OR EXISTS (
    SELECT FROM jsonb_array_elements(scopes) AS scope
    WHERE scope->>'resource_id' IN (wanted, '*')
       OR (right(scope->>'resource_id', 1) = '*' AND starts_with(wanted, rtrim(scope->>'resource_id', '*')))
  )
$$;

CREATE TABLE namespaces (
  namespace_id text PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
  namespace_name text NOT NULL,
  description text,
  mode text NOT NULL DEFAULT 'managed',
  namespace_type text NOT NULL DEFAULT 'standard',
  feature_extractors jsonb NOT NULL DEFAULT '[]',
  payload_indexes jsonb NOT NULL DEFAULT '[]',
  vector_configs jsonb,
  config jsonb NOT NULL DEFAULT '{}',         -- stored as given: infrastructure, tiering, budgets ...
  status text NOT NULL DEFAULT 'active',      -- active | deleting
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz
);
-- A namespace that is being deleted gives its name back at once.
CREATE UNIQUE INDEX namespaces_live_name ON namespaces (organization_id, namespace_name) WHERE status = 'active';

CREATE TABLE tasks (
  task_id text PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
  namespace_id text,                          -- no reference: the receipt of a deletion outlives its namespace
  task_type text NOT NULL,
  status text NOT NULL DEFAULT 'PENDING',
  description text,
  inputs jsonb NOT NULL DEFAULT '[]',
  outputs jsonb NOT NULL DEFAULT '[]',
  additional_data jsonb NOT NULL DEFAULT '{}',
  error text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX tasks_newest ON tasks (organization_id, created_at DESC, task_id);

-- What happened, written in the transaction of the change and delivered after it.
CREATE TABLE events (
  sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event_id text NOT NULL UNIQUE,
  organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
  namespace_id text,
  event_type text NOT NULL,
  resource_id text NOT NULL,
  payload jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX events_of_namespace ON events (organization_id, namespace_id, sequence);

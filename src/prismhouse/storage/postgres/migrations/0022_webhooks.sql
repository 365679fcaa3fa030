-- Events get their place in the change feed once they are committed. `sequence` is taken before the commit, so a
-- reader that went by it would pass by what commits late; a place is given, by one process at a time, to what is
-- committed and has none, so places come into being in ascending order and nothing comes in behind a reader.
-- No transaction id is involved: places stay true when the database is dumped and restored elsewhere.
ALTER TABLE events ADD COLUMN position bigint;
DROP INDEX events_of_namespace;
CREATE INDEX events_without_place ON events (sequence) WHERE position IS NULL;
CREATE UNIQUE INDEX events_in_order ON events (organization_id, position) WHERE position IS NOT NULL;
CREATE INDEX events_of_type ON events (organization_id, event_type, position) WHERE position IS NOT NULL;
CREATE INDEX events_of_namespace ON events (organization_id, namespace_id, position) WHERE position IS NOT NULL;
-- Every event is updated once: without this, dead rows would wait for a fifth of the table.
ALTER TABLE events SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);

-- Whoever gives places holds this row.
CREATE TABLE event_feed (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  last_position bigint NOT NULL
);
INSERT INTO event_feed (last_position) VALUES (0);

-- How far the feed of an organization was forgotten: a cursor from before has missed something.
CREATE TABLE event_retention (
  organization_id text PRIMARY KEY REFERENCES organizations ON DELETE CASCADE,
  forgotten_through bigint NOT NULL
);

CREATE TABLE webhooks (
  webhook_id text PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
  webhook_name text NOT NULL,
  event_types text[] NOT NULL,
  resource_types text[],
  channels jsonb NOT NULL,                        -- as answered: no secret in it
  secrets bytea NOT NULL,                         -- signing secrets and headers by channel, encrypted
  timeout_seconds double precision NOT NULL,      -- of the slowest channel
  is_active boolean NOT NULL,
  paused_at timestamptz,                          -- by a run of failures: events wait until it is active again
  delivery_health jsonb,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (organization_id, webhook_name)
);

-- What waits for one resource at one channel goes out in order, one at a time: a lane. It is there while anything waits.
CREATE TABLE webhook_lanes (
  webhook_id text NOT NULL REFERENCES webhooks ON DELETE CASCADE,
  channel smallint NOT NULL,
  resource text NOT NULL,                         -- md5 of namespace and resource id
  due_at timestamptz NOT NULL DEFAULT now(),      -- next attempt; while somebody holds the lane: the end of the lease
  held_by text,
  PRIMARY KEY (webhook_id, channel, resource)
);
CREATE INDEX webhook_lanes_due ON webhook_lanes (webhook_id, due_at);

CREATE TABLE webhook_deliveries (
  delivery bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,   -- shown as `dlv_` and 16 hex digits
  webhook_id text NOT NULL REFERENCES webhooks ON DELETE CASCADE,
  channel smallint NOT NULL,
  resource text NOT NULL,
  position bigint NOT NULL,
  event_sequence bigint NOT NULL,
  status text NOT NULL DEFAULT 'pending',         -- pending | delivered | failed
  attempts integer NOT NULL DEFAULT 0,
  last_attempt_at timestamptz,
  last_status_code integer,
  last_error text,
  last_duration_ms double precision,
  created_at timestamptz NOT NULL DEFAULT now(),
  completed_at timestamptz
);
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (webhook_id, channel, resource, position)
  WHERE status = 'pending';
CREATE INDEX webhook_deliveries_newest ON webhook_deliveries (webhook_id, delivery);
CREATE INDEX webhook_deliveries_failed ON webhook_deliveries (webhook_id, delivery) WHERE status = 'failed';
CREATE INDEX webhook_deliveries_of_event ON webhook_deliveries (event_sequence) WHERE status <> 'delivered';
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (completed_at) WHERE status <> 'pending';
ALTER TABLE webhook_deliveries SET (autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE webhook_lanes SET (autovacuum_vacuum_scale_factor = 0.05);

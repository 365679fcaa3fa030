-- Who did what, to what, when and from where: one row per change, in the transaction of the change.
CREATE TABLE audit_events (
  sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,   -- shown as `aud_` and 16 hex digits
  -- No references: what happened stays true when the organization, namespace, user or key is gone, and a check
  -- per row would cost a bulk more than the rows themselves.
  organization_id text NOT NULL,
  namespace_id text,
  occurred_at timestamptz NOT NULL DEFAULT now(),
  action text NOT NULL,
  resource_type text NOT NULL,
  resource_id text NOT NULL,
  status text NOT NULL DEFAULT 'success',                     -- success | failure
  changes jsonb,
  reason text,
  actor_id text NOT NULL,
  actor_type text NOT NULL,
  key_id text,
  ip_address text,
  user_agent text
);
CREATE INDEX audit_events_newest ON audit_events (organization_id, occurred_at, sequence);
-- By hash: 1,000 random ids cost 1 ms here and 4 ms in a btree.
CREATE INDEX audit_events_of_resource ON audit_events USING hash (resource_id);
-- What administrators look for must not be searched among millions of annotations.
CREATE INDEX audit_events_but_annotations ON audit_events (organization_id, occurred_at, sequence)
  WHERE action NOT IN ('annotation_created', 'annotation_updated', 'annotation_deleted');

-- Rows are only added. Who must delete old ones says so: SET LOCAL prismhouse.prune_audit = 'on'; DELETE ...
CREATE FUNCTION keep_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND current_setting('prismhouse.prune_audit', true) = 'on' THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION 'audit_events is append-only' USING ERRCODE = 'insufficient_privilege',
    HINT = 'To delete old rows: SET LOCAL prismhouse.prune_audit = ''on'' in the same transaction.';
END
$$;
CREATE TRIGGER audit_events_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
  FOR EACH STATEMENT EXECUTE FUNCTION keep_audit();

-- Read with the key on every request, so that no process has to be told when it changes.
ALTER TABLE organizations ADD COLUMN read_auditing_enabled boolean NOT NULL DEFAULT false;

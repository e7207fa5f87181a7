-- A delivery's id begins as its event's does (the milliseconds, the version and 12 more bits of a UUIDv7, RFC 9562) and
-- ends at random: it is a UUIDv7 of the same moment, in the same daily partition, and an event's deliveries lie side by
-- side in the primary key. Postgres 15 has no uuidv7() of its own.
CREATE FUNCTION delivery_id_of(event_id uuid) RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
  SELECT (left(event_id::text, 18) || right(gen_random_uuid()::text, 18))::uuid
$$;
--> statement-breakpoint
-- The smallest UUIDv7 of a day (UTC): the bounds of the daily partitions.
CREATE FUNCTION uuid_v7_floor(day date) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (lpad(to_hex((extract(epoch FROM day::timestamp) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;
--> statement-breakpoint
CREATE TABLE users (
  id uuid PRIMARY KEY,
  email text NOT NULL,
  password_hash text NOT NULL,
  full_name text,
  is_active boolean NOT NULL DEFAULT true,
  is_superuser boolean NOT NULL DEFAULT false,
  -- Raised by a password change: tokens of an older version are refused.
  token_version integer NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz
);
--> statement-breakpoint
CREATE UNIQUE INDEX users_email ON users (lower(email)) WHERE deleted_at IS NULL;
--> statement-breakpoint
CREATE TABLE webhooks (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES users (id),
  url text NOT NULL,
  -- The URL in its normal form: one registration of it per user.
  url_key text NOT NULL,
  events text[] NOT NULL,
  description text,
  headers json NOT NULL DEFAULT '{}',
  max_in_flight integer NOT NULL DEFAULT 1,
  is_active boolean NOT NULL DEFAULT true,
  disabled_reason text,
  partition smallint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz
);
--> statement-breakpoint
CREATE UNIQUE INDEX webhooks_url ON webhooks (user_id, url_key) WHERE deleted_at IS NULL;
--> statement-breakpoint
CREATE TABLE webhook_secrets (
  id uuid PRIMARY KEY,
  webhook_id uuid NOT NULL REFERENCES webhooks (id),
  ciphertext bytea NOT NULL,
  key_id text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  -- A rotated secret signs beside its successor until then; null for the present one.
  expires_at timestamptz
);
--> statement-breakpoint
CREATE INDEX webhook_secrets_webhook ON webhook_secrets (webhook_id);
--> statement-breakpoint
-- A webhook's URL as the delivery side sees it. Written on transitions only.
CREATE TABLE endpoints (
  webhook_id uuid PRIMARY KEY REFERENCES webhooks (id),
  user_id uuid NOT NULL,
  partition smallint NOT NULL,
  circuit text NOT NULL DEFAULT 'closed' CHECK (circuit IN ('closed', 'open', 'half_open')),
  -- Consecutive failures that count against the circuit, and how often it has opened since the last success.
  failures integer NOT NULL DEFAULT 0,
  openings integer NOT NULL DEFAULT 0,
  -- The gate: nothing is sent before then (circuit open, or Retry-After).
  open_until timestamptz,
  -- Priorities of which more deliveries wait in the table than the stream takes: the API leaves them to refill.
  backlog text[] NOT NULL DEFAULT '{}',
  -- Pending deliveries since before then are to be cancelled: the owner of the partition does it, in chunks.
  cancel_before timestamptz,
  failing_since timestamptz,
  last_success_at timestamptz
);
--> statement-breakpoint
CREATE INDEX endpoints_cancel ON endpoints (partition) WHERE cancel_before IS NOT NULL;
--> statement-breakpoint
CREATE INDEX endpoints_backlog ON endpoints (partition) WHERE backlog <> '{}';
--> statement-breakpoint
CREATE TABLE subscribers (
  id uuid PRIMARY KEY,
  -- No foreign key: the statement that creates a subscriber joins its user, and users are marked deleted, never removed.
  user_id uuid NOT NULL,
  email text NOT NULL,
  first_name text,
  last_name text,
  tags text[] NOT NULL DEFAULT '{}',
  -- json, not jsonb: the caller's key order and numbers survive.
  custom_fields json NOT NULL DEFAULT '{}',
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'unsubscribed', 'bounced')),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
--> statement-breakpoint
CREATE UNIQUE INDEX subscribers_email ON subscribers (user_id, lower(email));
--> statement-breakpoint
CREATE INDEX subscribers_user ON subscribers (user_id, id);
--> statement-breakpoint
-- events, deliveries and attempts are partitioned by the day of their UUIDv7, so that retention drops whole tables.
CREATE TABLE events (
  id uuid NOT NULL PRIMARY KEY,
  user_id uuid NOT NULL,
  type text NOT NULL,
  priority text NOT NULL,
  -- The exact bytes that are signed and sent.
  payload text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
) PARTITION BY RANGE (id);
--> statement-breakpoint
CREATE INDEX events_user ON events (user_id, id);
--> statement-breakpoint
CREATE TABLE deliveries (
  id uuid NOT NULL PRIMARY KEY,
  event_id uuid NOT NULL,
  webhook_id uuid NOT NULL,
  user_id uuid NOT NULL,
  due_at timestamptz NOT NULL,
  -- When it was accepted or last replayed: what the age of the whole schedule counts from.
  pending_since timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  completed_at timestamptz,
  -- The message's sequence in the stream of `stream_epoch`; null: waiting in the table (or perhaps in the stream).
  stream_seq bigint,
  stream_epoch integer,
  -- How often it went back to the table: the fence against its own past.
  generation integer NOT NULL DEFAULT 0,
  attempt_count integer NOT NULL DEFAULT 0,
  -- Attempts of earlier schedules, before the last replay.
  schedule_base integer NOT NULL DEFAULT 0,
  partition smallint NOT NULL,
  priority text NOT NULL,
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'failed', 'cancelled')),
  event_type text NOT NULL,
  last_error text
) PARTITION BY RANGE (id);
--> statement-breakpoint
-- The due query, which is at once outbox relay, overflow valve, retry timer and recovery.
CREATE INDEX deliveries_waiting ON deliveries (partition, webhook_id, priority, due_at, id)
  WHERE status = 'pending' AND stream_seq IS NULL;
--> statement-breakpoint
-- The reconciler's and a new epoch's way to what should be in the stream.
CREATE INDEX deliveries_in_stream ON deliveries (partition, due_at)
  WHERE status = 'pending' AND stream_seq IS NOT NULL;
--> statement-breakpoint
CREATE INDEX deliveries_user ON deliveries (user_id, id);
--> statement-breakpoint
CREATE INDEX deliveries_webhook ON deliveries (webhook_id, id);
--> statement-breakpoint
CREATE TABLE attempts (
  id uuid NOT NULL,
  delivery_id uuid NOT NULL,
  attempt integer NOT NULL,
  status_code integer,
  latency_ms integer NOT NULL,
  error text,
  response_body text,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (delivery_id, id)
) PARTITION BY RANGE (id);
--> statement-breakpoint
-- Rows find a place even where a day's partition is missing.
CREATE TABLE events_default PARTITION OF events DEFAULT;
--> statement-breakpoint
CREATE TABLE deliveries_default PARTITION OF deliveries DEFAULT;
--> statement-breakpoint
CREATE TABLE attempts_default PARTITION OF attempts DEFAULT;
--> statement-breakpoint
-- Creates what is missing of the daily partitions from `first` to `last`; says how many.
CREATE FUNCTION ensure_day_partitions(first date, last date) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  day date;
  parent text;
  created integer := 0;
BEGIN
  FOR day IN SELECT generate_series(first, last, interval '1 day')::date LOOP
    FOREACH parent IN ARRAY ARRAY['events', 'deliveries', 'attempts'] LOOP
      IF to_regclass(parent || to_char(day, '_YYYYMMDD')) IS NULL THEN
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
          parent || to_char(day, '_YYYYMMDD'), parent, uuid_v7_floor(day), uuid_v7_floor(day + 1));
        created := created + 1;
      END IF;
    END LOOP;
  END LOOP;
  RETURN created;
END $$;
--> statement-breakpoint
SELECT ensure_day_partitions((now() AT TIME ZONE 'UTC')::date - 1, (now() AT TIME ZONE 'UTC')::date + 7);
--> statement-breakpoint
-- Which stream and which lease bucket the rows speak of. Another one: a new epoch.
CREATE TABLE stream (
  id boolean PRIMARY KEY DEFAULT true CHECK (id),
  epoch integer NOT NULL DEFAULT 0,
  stream_created_at text,
  bucket_created_at text,
  -- The bucket came after another one: leases of that one may outlive it for a while.
  bucket_is_successor boolean NOT NULL DEFAULT false,
  updated_at timestamptz NOT NULL DEFAULT now()
);
--> statement-breakpoint
INSERT INTO stream DEFAULT VALUES;
--> statement-breakpoint
-- Results of attempts. Two statements, so that the second sees what the first has locked as it is now: inside one
-- statement, rows that had to be waited for are seen as they were, and a result can be lost. Rows are locked in id order.
-- A delivery changes only if it is still pending and of the result's generation; attempts are kept always, once each.
CREATE FUNCTION record_results(
  ids uuid[], generations int[], places text[], delays_ms bigint[], seqs bigint[], epochs int[], attempt_numbers int[],
  errors text[], least_id uuid, greatest_id uuid,
  attempt_ids uuid[], attempt_deliveries uuid[], tried_numbers int[], status_codes int[], latencies_ms int[],
  attempt_errors text[], response_bodies text[], ages_ms bigint[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM deliveries d WHERE d.id = ANY (ids) ORDER BY d.id FOR NO KEY UPDATE;

  UPDATE deliveries d SET
    status = CASE WHEN g.place IN ('stream', 'table') THEN 'pending' ELSE g.place END,
    completed_at = CASE WHEN g.place IN ('stream', 'table') THEN NULL ELSE now() END,
    due_at = CASE WHEN g.delay_ms IS NULL THEN d.due_at ELSE now() + g.delay_ms * interval '1 millisecond' END,
    stream_seq = g.seq,
    stream_epoch = g.epoch,
    generation = d.generation + CASE WHEN g.place = 'table' THEN 1 ELSE 0 END,
    attempt_count = greatest(d.attempt_count, coalesce(g.attempt, 0)),
    last_error = CASE WHEN g.attempt IS NULL AND g.error IS NULL THEN d.last_error ELSE g.error END
  FROM unnest(ids, generations, places, delays_ms, seqs, epochs, attempt_numbers, errors)
    AS g(id, generation, place, delay_ms, seq, epoch, attempt, error)
  WHERE d.id = g.id AND d.id BETWEEN least_id AND greatest_id
    AND d.status = 'pending' AND d.generation = g.generation;

  INSERT INTO attempts (id, delivery_id, attempt, status_code, latency_ms, error, response_body, created_at)
  SELECT a.id, a.delivery_id, a.attempt, a.status_code, a.latency_ms, a.error, a.response_body,
    now() - a.age_ms * interval '1 millisecond'
  FROM unnest(attempt_ids, attempt_deliveries, tried_numbers, status_codes, latencies_ms, attempt_errors,
      response_bodies, ages_ms)
    AS a(id, delivery_id, attempt, status_code, latency_ms, error, response_body, age_ms)
  ON CONFLICT (delivery_id, id) DO NOTHING;
END $$;
--> statement-breakpoint
-- Notes of which message carries a delivery. Rows that someone else holds just now are left out.
CREATE FUNCTION note_sequences(
  ids uuid[], generations int[], seqs bigint[], epochs int[], least_id uuid, greatest_id uuid
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  locked record;
BEGIN
  -- A note that a crash of Postgres loses costs one look-up, so nobody waits for the disk because of notes.
  PERFORM set_config('synchronous_commit', 'off', true);
  SELECT array_agg(x.id) AS ids, array_agg(x.generation) AS generations, array_agg(x.seq) AS seqs,
    array_agg(x.epoch) AS epochs
  INTO locked
  FROM (
    SELECT d.id, g.generation, g.seq, g.epoch
    FROM unnest(ids, generations, seqs, epochs) AS g(id, generation, seq, epoch)
    JOIN deliveries d ON d.id = g.id
    WHERE d.id BETWEEN least_id AND greatest_id
      AND d.status = 'pending' AND d.stream_seq IS NULL AND d.generation = g.generation
    ORDER BY d.id FOR NO KEY UPDATE OF d SKIP LOCKED
  ) x;
  IF locked.ids IS NULL THEN
    RETURN;
  END IF;
  UPDATE deliveries d SET stream_seq = g.seq, stream_epoch = g.epoch
  FROM unnest(locked.ids, locked.generations, locked.seqs, locked.epochs) AS g(id, generation, seq, epoch)
  WHERE d.id = g.id AND d.id BETWEEN least_id AND greatest_id
    AND d.status = 'pending' AND d.stream_seq IS NULL AND d.generation = g.generation;
END $$;
--> statement-breakpoint
-- Cancels up to `rows_max` deliveries of a webhook that are pending since before the mark; says how many it found.
-- Waiting ones and those in the stream each have an index of their own.
CREATE FUNCTION cancel_pending(webhook uuid, of_partition smallint, before timestamptz, rows_max int)
RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  found_ids uuid[];
BEGIN
  found_ids := ARRAY(
    SELECT d.id FROM deliveries d
    WHERE d.partition = of_partition AND d.webhook_id = webhook AND d.status = 'pending' AND d.stream_seq IS NULL
      AND d.pending_since <= before
    LIMIT rows_max
  ) || ARRAY(
    SELECT d.id FROM deliveries d
    WHERE d.partition = of_partition AND d.webhook_id = webhook AND d.status = 'pending' AND d.stream_seq IS NOT NULL
      AND d.pending_since <= before
    LIMIT rows_max
  );
  found_ids := found_ids[1:rows_max];
  PERFORM 1 FROM deliveries d WHERE d.id = ANY (found_ids) ORDER BY d.id FOR NO KEY UPDATE;
  UPDATE deliveries d SET status = 'cancelled', completed_at = now(), stream_seq = NULL, stream_epoch = NULL
  WHERE d.id = ANY (found_ids) AND d.status = 'pending' AND d.pending_since <= before;
  RETURN cardinality(found_ids);
END $$;

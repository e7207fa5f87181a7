ALTER TABLE endpoints ADD COLUMN recover_since timestamptz, ADD COLUMN recover_before timestamptz;
--> statement-breakpoint
CREATE INDEX endpoints_recover ON endpoints (partition) WHERE recover_before IS NOT NULL;
--> statement-breakpoint
-- What has failed is a small part, and looked for: by its owner in a list, and by a recovery.
CREATE INDEX deliveries_failed ON deliveries (webhook_id, id) WHERE status = 'failed';
--> statement-breakpoint
CREATE INDEX deliveries_failed_of_user ON deliveries (user_id, id) WHERE status = 'failed';
--> statement-breakpoint
-- Starts the schedule of up to `rows_max` of a webhook's failed deliveries again, oldest first; says how many. Those that
-- fail again end after `before`, and are left alone; so is a webhook that has been switched off meanwhile. A delivery's id
-- is of the instant at which its event came in, a little before it was created.
CREATE FUNCTION recover_failed(webhook uuid, since timestamptz, before timestamptz, rows_max int)
RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  found_ids uuid[];
BEGIN
  found_ids := ARRAY(
    SELECT d.id FROM deliveries d
    WHERE d.webhook_id = webhook AND d.status = 'failed' AND d.completed_at <= before
      AND d.created_at >= since AND d.id >= uuid_v7_floor((since - interval '1 day')::date)
      AND EXISTS (SELECT 1 FROM webhooks w WHERE w.id = webhook AND w.is_active AND w.deleted_at IS NULL)
    ORDER BY d.id LIMIT rows_max
  );
  PERFORM 1 FROM deliveries d WHERE d.id = ANY (found_ids) ORDER BY d.id FOR NO KEY UPDATE;
  UPDATE deliveries d SET status = 'pending', generation = d.generation + 1, stream_seq = NULL, stream_epoch = NULL,
    due_at = now(), pending_since = now(), schedule_base = d.attempt_count, completed_at = NULL, priority = 'low'
  WHERE d.id = ANY (found_ids) AND d.status = 'failed';
  RETURN cardinality(found_ids);
END $$;

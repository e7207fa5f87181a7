-- `record_results` as it was, and attempts of deliveries that ended meanwhile count.
--
-- Results of turns (`attempt_id` is null where there was no request). A delivery changes only if it is still pending and of
-- the result's generation; attempts are kept always, once each.
--
-- Rows are locked in id order, by the update itself: the results are in that order, and so are rows that are found by the
-- primary key, which is how they are found without the other scans; so whichever side a join goes along, it is in that
-- order. (Should a plan not be, two batches may be in each other's way: one is refused, and written again.) A row that it had
-- to wait for is judged as it is by then. `= ANY (ids)` leaves no plan more rows than the batch has.
CREATE OR REPLACE FUNCTION record_results(
  ids uuid[], generations int[], places text[], delays_ms bigint[], seqs bigint[], epochs int[], errors text[],
  attempt_ids uuid[], attempts_made int[], status_codes int[], latencies_ms int[], response_bodies text[],
  ages_ms bigint[], least_id uuid, greatest_id uuid
) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
  changed int;
BEGIN
  UPDATE deliveries d SET
    status = CASE WHEN g.place IN ('stream', 'table') THEN 'pending' ELSE g.place END,
    completed_at = CASE WHEN g.place IN ('stream', 'table') THEN NULL
      WHEN g.place = 'delivered' THEN now() - g.age_ms * interval '1 millisecond' ELSE now() END,
    due_at = CASE WHEN g.delay_ms IS NULL THEN d.due_at ELSE now() + g.delay_ms * interval '1 millisecond' END,
    stream_seq = g.seq,
    stream_epoch = g.epoch,
    generation = d.generation + CASE WHEN g.place = 'table' THEN 1 ELSE 0 END,
    attempt_count = greatest(d.attempt_count, coalesce(g.attempt, 0)),
    last_error = CASE WHEN g.attempt IS NULL AND g.error IS NULL THEN d.last_error ELSE g.error END,
    delivering_id = CASE WHEN g.place = 'delivered' THEN g.attempt_id END,
    delivering_attempt = CASE WHEN g.place = 'delivered' THEN g.attempt END,
    delivering_status_code = CASE WHEN g.place = 'delivered' THEN g.status_code END,
    delivering_latency_ms = CASE WHEN g.place = 'delivered' THEN g.latency_ms END,
    delivering_response_body = CASE WHEN g.place = 'delivered' THEN g.response_body END
  FROM (
    SELECT * FROM unnest(ids, generations, places, delays_ms, seqs, epochs, errors,
        attempt_ids, attempts_made, status_codes, latencies_ms, response_bodies, ages_ms)
      AS r(id, generation, place, delay_ms, seq, epoch, error,
        attempt_id, attempt, status_code, latency_ms, response_body, age_ms)
    ORDER BY id
  ) g
  WHERE d.id = g.id AND d.id = ANY (ids) AND d.id BETWEEN least_id AND greatest_id
    AND d.status = 'pending' AND d.generation = g.generation;
  GET DIAGNOSTICS changed = ROW_COUNT;

  -- All delivered, and all in their rows.
  IF changed = cardinality(ids) AND 'delivered' = ALL (places) THEN
    RETURN;
  END IF;
  -- Ended while its request was under way, as when its webhook was switched off: a retry goes on with the next number. A row
  -- that somebody else holds is left out, for these locks come after those above.
  IF changed < cardinality(ids) THEN
    UPDATE deliveries d SET attempt_count = g.attempt
    FROM (
      SELECT d.id, max(r.attempt) AS attempt
      FROM unnest(ids, attempts_made) AS r(id, attempt)
      CROSS JOIN LATERAL (
        SELECT d.id FROM deliveries d
        WHERE d.id = r.id AND d.id BETWEEN least_id AND greatest_id
          AND d.status <> 'pending' AND d.attempt_count < r.attempt
        FOR NO KEY UPDATE SKIP LOCKED
      ) d
      GROUP BY d.id
    ) g
    WHERE d.id = g.id AND d.id = ANY (ids) AND d.id BETWEEN least_id AND greatest_id;
  END IF;
  INSERT INTO attempts (id, delivery_id, attempt, status_code, latency_ms, error, response_body, created_at)
  SELECT r.attempt_id, r.id, r.attempt, r.status_code, r.latency_ms, r.error, r.response_body,
    now() - r.age_ms * interval '1 millisecond'
  FROM unnest(ids, places, errors, attempt_ids, attempts_made, status_codes, latencies_ms, response_bodies, ages_ms)
    AS r(id, place, error, attempt_id, attempt, status_code, latency_ms, response_body, age_ms)
  WHERE r.attempt_id IS NOT NULL AND NOT (r.place = 'delivered' AND EXISTS (
    SELECT 1 FROM deliveries d
    WHERE d.id = r.id AND d.id = ANY (ids) AND d.id BETWEEN least_id AND greatest_id
      AND d.delivering_id = r.attempt_id))
  ON CONFLICT (delivery_id, id) DO NOTHING;
END $$;

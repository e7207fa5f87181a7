// What workers write of deliveries: the results of attempts, and the notes of where a delivery is in the stream. Every
// write is fenced by status and generation, and locks its rows in id order first.

import type { AttemptId, DeliveryId } from "../domain/ids.ts";
import type { Sql } from "./database.ts";

export type AttemptRow = {
  id: AttemptId;
  attempt: number;
  statusCode: number | null;
  latencyMs: number;
  error: string | null;
  responseBody: string | null;
};

/** Where a delivery is after its turn. */
export type Place =
  | { kind: "completed"; status: "delivered" | "failed" | "cancelled" }
  /** Stays in the stream under its own message, due again in `delayMs`. */
  | { kind: "stream"; seq: number; epoch: number; delayMs: number }
  /** Back in the table with the next generation; `delayMs` null: due as before. */
  | { kind: "table"; delayMs: number | null };

export type ResultRow = {
  deliveryId: DeliveryId;
  generation: number;
  place: Place;
  /** What the delivery says of its last turn; null leaves it as it is, or clears it when there was an attempt. */
  error: string | null;
  /** null: the turn ended without a request. */
  attempt: AttemptRow | null;
  /** How long ago it happened, milliseconds. */
  agoMs: number;
};

// The rows are found, fenced and locked in one step, and the update is driven by what was locked: joining the given
// values once more would cost the square of the batch.
const RECORD = `
  WITH locked AS (
    SELECT d.id, g.place, g.delay_ms, g.seq, g.epoch, g.attempt, g.error
    FROM unnest($1::uuid[], $2::int[], $3::text[], $4::bigint[], $5::bigint[], $6::int[], $7::int[], $8::text[])
      AS g(id, generation, place, delay_ms, seq, epoch, attempt, error)
    JOIN deliveries d ON d.id = g.id
    WHERE d.id BETWEEN $17::uuid AND $18::uuid AND d.status = 'pending' AND d.generation = g.generation
    ORDER BY d.id FOR NO KEY UPDATE OF d
  ),
  changed AS (
    UPDATE deliveries d SET
      status = CASE WHEN l.place IN ('stream', 'table') THEN 'pending' ELSE l.place END,
      completed_at = CASE WHEN l.place IN ('stream', 'table') THEN NULL ELSE now() END,
      due_at = CASE WHEN l.delay_ms IS NULL THEN d.due_at ELSE now() + l.delay_ms * interval '1 millisecond' END,
      stream_seq = l.seq,
      stream_epoch = l.epoch,
      generation = d.generation + CASE WHEN l.place = 'table' THEN 1 ELSE 0 END,
      attempt_count = greatest(d.attempt_count, coalesce(l.attempt, 0)),
      last_error = CASE WHEN l.attempt IS NULL AND l.error IS NULL THEN d.last_error ELSE l.error END
    FROM locked l
    WHERE d.id = l.id AND d.id BETWEEN $17::uuid AND $18::uuid
  )
  INSERT INTO attempts (id, delivery_id, attempt, status_code, latency_ms, error, response_body, created_at)
  SELECT id, delivery_id, attempt, status_code, latency_ms, error, response_body, now() - ago_ms * interval '1 millisecond'
  FROM unnest($9::uuid[], $10::uuid[], $11::int[], $12::int[], $13::int[], $14::text[], $15::text[], $16::bigint[])
    AS a(id, delivery_id, attempt, status_code, latency_ms, error, response_body, ago_ms)
  ON CONFLICT (id) DO NOTHING`;

/**
 * Records results in one statement. The attempt rows are kept always, under their own ids; a delivery's row changes
 * only if it is still pending and of the result's generation. Writing the same results twice changes nothing.
 */
export async function recordResults(sql: Sql, results: readonly ResultRow[]): Promise<void> {
  const tried = results.filter((result) => result.attempt !== null);
  await sql.unsafe(
    RECORD,
    [
      results.map((result) => result.deliveryId),
      results.map((result) => result.generation),
      results.map(({ place }) => (place.kind === "completed" ? place.status : place.kind)),
      results.map(({ place }) => (place.kind === "completed" ? null : place.delayMs)),
      results.map(({ place }) => (place.kind === "stream" ? place.seq : null)),
      results.map(({ place }) => (place.kind === "stream" ? place.epoch : null)),
      results.map((result) => result.attempt?.attempt ?? null),
      results.map((result) => result.error),
      tried.map((result) => result.attempt?.id ?? null),
      tried.map((result) => result.deliveryId),
      tried.map((result) => result.attempt?.attempt ?? null),
      tried.map((result) => result.attempt?.statusCode ?? null),
      tried.map((result) => result.attempt?.latencyMs ?? null),
      tried.map((result) => result.attempt?.error ?? null),
      tried.map((result) => result.attempt?.responseBody ?? null),
      tried.map((result) => Math.round(result.agoMs)),
      ...boundsOf(results),
    ],
    { prepare: true },
  );
}

/** The least and the greatest id: with them the statement opens only the daily partitions that it needs. */
function boundsOf(rows: readonly { deliveryId: DeliveryId }[]): [DeliveryId | null, DeliveryId | null] {
  let least: DeliveryId | null = null;
  let greatest: DeliveryId | null = null;
  for (const { deliveryId } of rows) {
    if (least === null || deliveryId < least) least = deliveryId;
    if (greatest === null || deliveryId > greatest) greatest = deliveryId;
  }
  return [least, greatest];
}

export type SequenceNote = { deliveryId: DeliveryId; generation: number; seq: number; epoch: number };

/** Notes which message carries a delivery. Rows that someone else holds just now are left out: refill finds them. */
export async function noteSequences(sql: Sql, notes: readonly SequenceNote[]): Promise<void> {
  await sql.unsafe(
    `WITH locked AS (
       SELECT d.id, g.seq, g.epoch
       FROM unnest($1::uuid[], $2::int[], $3::bigint[], $4::int[]) AS g(id, generation, seq, epoch)
       JOIN deliveries d ON d.id = g.id
       WHERE d.id BETWEEN $5::uuid AND $6::uuid
         AND d.status = 'pending' AND d.stream_seq IS NULL AND d.generation = g.generation
       ORDER BY d.id FOR NO KEY UPDATE OF d SKIP LOCKED
     )
     UPDATE deliveries d SET stream_seq = l.seq, stream_epoch = l.epoch
     FROM locked l WHERE d.id = l.id AND d.id BETWEEN $5::uuid AND $6::uuid`,
    [
      notes.map((note) => note.deliveryId),
      notes.map((note) => note.generation),
      notes.map((note) => note.seq),
      notes.map((note) => note.epoch),
      ...boundsOf(notes),
    ],
    { prepare: true },
  );
}

export type CheckedRow = {
  status: string;
  generation: number;
  attemptCount: number;
  scheduleBase: number;
  pendingSince: number;
  /** Milliseconds until it is due; 0 when it is. */
  dueInMs: number;
};

/** The present state of deliveries; one without a row is missing from the answer. */
export async function checkDeliveries(sql: Sql, ids: readonly DeliveryId[]): Promise<Map<DeliveryId, CheckedRow>> {
  const rows = await sql.unsafe(
    `SELECT id, status, generation, attempt_count, schedule_base,
       extract(epoch FROM pending_since) * 1000 AS pending_since,
       greatest(0, extract(epoch FROM due_at - now()) * 1000) AS due_in_ms
     FROM deliveries WHERE id = ANY ($1::uuid[])`,
    [[...ids]],
    { prepare: true },
  );
  return new Map(
    rows.map((row) => [
      row["id"] as DeliveryId,
      {
        status: String(row["status"]),
        generation: Number(row["generation"]),
        attemptCount: Number(row["attempt_count"]),
        scheduleBase: Number(row["schedule_base"]),
        pendingSince: Number(row["pending_since"]),
        dueInMs: Math.ceil(Number(row["due_in_ms"])),
      },
    ]),
  );
}

// What workers write of deliveries: the results of attempts, and the notes of where a delivery is in the stream. Every
// write is fenced by status and generation, and locks its rows in id order.

import type { DeliveryId } from "../domain/ids.ts";
import type { TurnResult } from "../domain/turn-result.ts";
import { plainArray, sparseArray, sparseTextArray } from "./array-literal.ts";
import type { Sql } from "./database.ts";

/** `agoMs`: how long ago it happened. */
export type ResultRow = TurnResult & { agoMs: number };

/**
 * Records results in one call (see `record_results` in drizzle/). Attempts are kept always, under their own ids: one that
 * delivers in its delivery's row. A delivery's row changes only if it is still pending and of the result's generation.
 * Writing the same results twice changes nothing.
 */
export async function recordResults(sql: Sql, results: readonly ResultRow[]): Promise<void> {
  const ids = results.map((result) => result.deliveryId);
  await sql.unsafe(
    `SELECT record_results($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
    [
      plainArray(ids),
      plainArray(results.map((result) => result.generation)),
      plainArray(results.map(({ place }) => (place.kind === "completed" ? place.status : place.kind))),
      sparseArray(results.map(({ place }) => (place.kind === "completed" ? null : place.delayMs))),
      sparseArray(results.map(({ place }) => (place.kind === "stream" ? place.seq : null))),
      sparseArray(results.map(({ place }) => (place.kind === "stream" ? place.epoch : null))),
      sparseTextArray(results.map((result) => result.error)),
      sparseArray(results.map(({ attempt }) => attempt?.id ?? null)),
      sparseArray(results.map(({ attempt }) => attempt?.attempt ?? null)),
      sparseArray(results.map(({ attempt }) => attempt?.statusCode ?? null)),
      sparseArray(results.map(({ attempt }) => attempt?.latencyMs ?? null)),
      sparseTextArray(results.map(({ attempt }) => attempt?.responseBody ?? null)),
      plainArray(results.map((result) => Math.round(result.agoMs))),
      ...boundsOf(ids),
    ],
    { prepare: true },
  );
}

/** The least and the greatest id: with them the statement opens only the daily partitions that it needs. */
function boundsOf(ids: readonly DeliveryId[]): [DeliveryId | null, DeliveryId | null] {
  let least: DeliveryId | null = null;
  let greatest: DeliveryId | null = null;
  for (const id of ids) {
    if (least === null || id < least) least = id;
    if (greatest === null || id > greatest) greatest = id;
  }
  return [least, greatest];
}

export type SequenceNote = { deliveryId: DeliveryId; generation: number; seq: number; epoch: number };

/** Notes which message carries a delivery. Rows that someone else holds just now are left out: refill finds them. */
export async function noteSequences(sql: Sql, notes: readonly SequenceNote[]): Promise<void> {
  const ids = notes.map((note) => note.deliveryId);
  await sql.unsafe(
    `SELECT note_sequences($1, $2, $3, $4, $5, $6)`,
    [
      plainArray(ids),
      plainArray(notes.map((note) => note.generation)),
      plainArray(notes.map((note) => note.seq)),
      plainArray(notes.map((note) => note.epoch)),
      ...boundsOf(ids),
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
  /** For so long, milliseconds: both by Postgres' clock. */
  pendingForMs: number;
  /** Milliseconds until it is due; 0 when it is. */
  dueInMs: number;
};

/** The present state of deliveries; one without a row is missing from the answer. */
export async function checkDeliveries(sql: Sql, ids: readonly DeliveryId[]): Promise<Map<DeliveryId, CheckedRow>> {
  const rows = await sql.unsafe(
    `SELECT id, status, generation, attempt_count, schedule_base,
       extract(epoch FROM pending_since) * 1000 AS pending_since,
       extract(epoch FROM now() - pending_since) * 1000 AS pending_for_ms,
       greatest(0, extract(epoch FROM due_at - now()) * 1000) AS due_in_ms
     FROM deliveries WHERE id = ANY ($1::uuid[]) AND id BETWEEN $2 AND $3`,
    [plainArray(ids), ...boundsOf(ids)],
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
        pendingForMs: Number(row["pending_for_ms"]),
        dueInMs: Math.ceil(Number(row["due_in_ms"])),
      },
    ]),
  );
}

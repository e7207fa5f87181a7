// What Postgres knows of the stream: which one its rows speak of, and which rows should be in it.

import type { DeliveryId } from "../domain/ids.ts";
import { MASS_CHANGE_ROWS_MAX, RECONCILE_AFTER_MS, RECONCILE_ROWS_MAX } from "../domain/limits.ts";
import type { Partition } from "../domain/partition.ts";
import type { Sql } from "./database.ts";
import { BEGINNING, type Bookmark } from "./waiting.ts";

export type StreamState = { epoch: number; isNew: boolean };

/** Notes the stream that NATS has. Another creation time than the noted one begins a new epoch. */
export async function noteStream(sql: Sql, streamCreatedAt: string): Promise<StreamState> {
  const [known] = await sql`SELECT epoch FROM stream WHERE stream_created_at = ${streamCreatedAt}`;
  if (known !== undefined) return { epoch: Number(known["epoch"]), isNew: false };
  const [begun] =
    await sql`UPDATE stream SET epoch = epoch + 1, stream_created_at = ${streamCreatedAt}, updated_at = now()
    WHERE stream_created_at IS DISTINCT FROM ${streamCreatedAt} RETURNING epoch`;
  if (begun !== undefined) return { epoch: Number(begun["epoch"]), isNew: true };
  const [row] = await sql`SELECT epoch FROM stream`;
  return { epoch: Number(row?.["epoch"]), isNew: false };
}

/** Notes the bucket of leases. True: it came after another one, whose leases may still be believed in for a while. */
export async function noteBucket(sql: Sql, bucketCreatedAt: string): Promise<boolean> {
  const [row] = await sql`UPDATE stream SET
      bucket_is_successor = CASE WHEN bucket_created_at = ${bucketCreatedAt} THEN bucket_is_successor
        ELSE bucket_created_at IS NOT NULL END,
      bucket_created_at = ${bucketCreatedAt}
    RETURNING bucket_is_successor`;
  return row?.["bucket_is_successor"] === true;
}

/**
 * Returns up to a chunk of the rows of other epochs to the table, but for those in `held`; says how many. In the order of
 * the index of what is in the stream: by id it would walk over all that waits. Nobody is waited for, so any order will do.
 */
export async function returnOlderEpochs(
  sql: Sql,
  partition: Partition,
  epoch: number,
  held: readonly DeliveryId[],
): Promise<number> {
  const rows = await sql`
    WITH locked AS (
      SELECT id FROM deliveries
      WHERE partition = ${partition} AND status = 'pending' AND stream_seq IS NOT NULL AND stream_epoch <> ${epoch}
        AND NOT (id = ANY (${[...held]}::uuid[]))
      ORDER BY due_at LIMIT ${MASS_CHANGE_ROWS_MAX} FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE deliveries d SET stream_seq = NULL, stream_epoch = NULL, generation = generation + 1
    FROM locked l WHERE d.id = l.id RETURNING d.id`;
  return rows.length;
}

/** `isOfEpoch` false: noted too late, when its stream was gone already, so nobody will bring it. */
export type InStreamRow = {
  id: DeliveryId;
  generation: number;
  seq: number;
  isOfEpoch: boolean;
  bookmark: Bookmark;
};

/**
 * Rows that are overdue by far and should be in the stream, from behind `after` on: the reconciler asks that of `epoch`
 * about its own. Up to RECONCILE_ROWS_MAX; fewer: these are the last.
 */
export async function listOverdueInStream(
  sql: Sql,
  partition: Partition,
  epoch: number,
  after: Bookmark = BEGINNING,
): Promise<InStreamRow[]> {
  const rows = await sql`
    SELECT id, generation, stream_seq, stream_epoch = ${epoch} AS is_of_epoch, due_at::text AS due_at_text
    FROM deliveries
    WHERE partition = ${partition} AND status = 'pending' AND stream_seq IS NOT NULL
      AND due_at < now() - ${RECONCILE_AFTER_MS} * interval '1 millisecond'
      AND (due_at, id) > (${after.dueAt}::text::timestamptz, ${after.id}::uuid)
    ORDER BY due_at, id LIMIT ${RECONCILE_ROWS_MAX}`;
  return rows.map((row) => ({
    id: row["id"],
    generation: Number(row["generation"]),
    seq: Number(row["stream_seq"]),
    isOfEpoch: row["is_of_epoch"] === true,
    bookmark: { dueAt: row["due_at_text"], id: row["id"] },
  }));
}

/** Returns rows whose message is gone to the table; fenced by the generation and sequence that were looked up. */
export async function returnMissing(sql: Sql, missing: readonly InStreamRow[]): Promise<number> {
  const rows = await sql.unsafe(
    `WITH locked AS (
       SELECT d.id FROM unnest($1::uuid[], $2::int[], $3::bigint[]) AS g(id, generation, seq)
       JOIN deliveries d ON d.id = g.id
       WHERE d.status = 'pending' AND d.generation = g.generation AND d.stream_seq = g.seq
       ORDER BY d.id FOR NO KEY UPDATE OF d SKIP LOCKED
     )
     UPDATE deliveries d SET stream_seq = NULL, stream_epoch = NULL, generation = d.generation + 1
     FROM locked l WHERE d.id = l.id
     RETURNING d.id`,
    [missing.map((row) => row.id), missing.map((row) => row.generation), missing.map((row) => row.seq)],
    { prepare: true },
  );
  return rows.length;
}

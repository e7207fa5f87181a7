// The daily partitions of events, deliveries and attempts: made ahead of time, and dropped when their time is over.

import type { TransactionSql } from "postgres";
import type { Database, Sql } from "./database.ts";

export const DAILY_TABLES = ["events", "deliveries", "attempts"] as const;
export type DailyTable = (typeof DAILY_TABLES)[number];

const AHEAD_DAYS = 7;
/**
 * Making and dropping wait no longer for a lock, because everybody who comes after them waits as long: behind a reader of
 * an hour (a backup) they give up, and the next round tries again. There are days of slack.
 */
const LOCK_TIMEOUT_MS = 200;

/**
 * Makes what a table lacks of today, of the coming days, and of days whose rows had to go to the default partition; says
 * how many.
 */
export async function ensureDayPartitions(sql: Sql, table: DailyTable): Promise<number> {
  const days = await sql`
    SELECT ((now() AT TIME ZONE 'UTC')::date + ahead)::text AS day FROM generate_series(0, ${AHEAD_DAYS}::int) ahead
    UNION SELECT uuid_v7_day(id)::text FROM ${sql(`${table}_default`)} ORDER BY day`;
  let made = 0;
  for (const { day } of days) {
    const [row] = await withShortLocks(sql, (tx) => tx`SELECT ensure_day_partition(${table}, ${day}::date) AS is_new`);
    if (row?.["is_new"] === true) made += 1;
  }
  return made;
}

const PARTITION = /^(events|deliveries|attempts)_(\d{4})(\d{2})(\d{2})$/;

/**
 * Drops whole days that are older than `retentionDays`; says how many tables. A day with a delivery that is still
 * pending stays, and events stay a day longer than the deliveries that need their payload.
 */
export async function dropOldPartitions(sql: Sql, retentionDays: number): Promise<number> {
  const rows = await sql`
    SELECT c.relname AS name, (now() AT TIME ZONE 'UTC')::date AS today FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
    WHERE p.relname IN ('events', 'deliveries', 'attempts')`;
  const tables = rows.flatMap((row) => {
    const [, parent, year, month, day] = PARTITION.exec(String(row["name"])) ?? [];
    if (parent === undefined) return [];
    const ageDays =
      (Date.parse(String(row["today"])) - Date.UTC(Number(year), Number(month) - 1, Number(day))) / 86_400_000;
    return [{ name: String(row["name"]), parent, ageDays }];
  });
  let dropped = 0;
  const pendingDays = new Set<number>();
  for (const { name, parent, ageDays } of tables) {
    if (parent !== "deliveries" || ageDays <= retentionDays) continue;
    if (await dropUnlessPending(sql, name)) dropped += 1;
    else pendingDays.add(ageDays);
  }
  for (const { name, parent, ageDays } of tables) {
    const isOld =
      parent === "events"
        ? ageDays > retentionDays + 1 && !pendingDays.has(ageDays) && !pendingDays.has(ageDays - 1)
        : parent === "attempts" && ageDays > retentionDays && !pendingDays.has(ageDays);
    if (!isOld) continue;
    await withShortLocks(sql, (tx) => tx`DROP TABLE IF EXISTS ${tx(name)}`);
    dropped += 1;
  }
  return dropped;
}

/** Drops a day of deliveries; false if some of it is pending. Looked at first without a lock: such a day may stay long. */
async function dropUnlessPending(sql: Sql, name: string): Promise<boolean> {
  if (await hasPending(sql, name)) return false;
  return withShortLocks(sql, async (tx) => {
    // A replay may have made one pending meanwhile. Parent before partition, as everybody locks them.
    await tx`LOCK TABLE ONLY deliveries IN ACCESS EXCLUSIVE MODE`;
    if (await hasPending(tx, name)) return false;
    await tx`DROP TABLE ${tx(name)}`;
    return true;
  });
}

/** Two questions, because each has an index that answers it; all that is pending has none. */
async function hasPending(sql: Sql | TransactionSql<{ bigint: number }>, name: string): Promise<boolean> {
  const [row] = await sql`SELECT
    EXISTS (SELECT 1 FROM ${sql(name)} WHERE status = 'pending' AND stream_seq IS NULL)
    OR EXISTS (SELECT 1 FROM ${sql(name)} WHERE status = 'pending' AND stream_seq IS NOT NULL) AS has_pending`;
  return row?.["has_pending"] === true;
}

async function withShortLocks<Result>(
  sql: Sql,
  work: (tx: TransactionSql<{ bigint: number }>) => PromiseLike<Result>,
): Promise<Result> {
  const result = await sql.begin(async (tx) => {
    await tx`SELECT set_config('lock_timeout', ${String(LOCK_TIMEOUT_MS)}, true)`;
    return work(tx);
  });
  return result as Result;
}

/** Up to a chunk of the subscribers of deleted users, but for those that somebody changes just now. */
export async function purgeDeletedUsers(sql: Sql, rowsMax: number): Promise<number> {
  const rows = await sql`DELETE FROM subscribers WHERE id IN (
    SELECT s.id FROM users u JOIN subscribers s ON s.user_id = u.id WHERE u.deleted_at IS NOT NULL
    LIMIT ${rowsMax} FOR UPDATE OF s SKIP LOCKED
  ) RETURNING 1`;
  return rows.length;
}

/** Runs `work` unless another process is at it just now. */
export async function withHousekeepingLock({ sql, run }: Database, work: () => Promise<void>): Promise<void> {
  const reserving = sql.reserve();
  const connection = await run(() => reserving).catch((error: unknown) => {
    reserving.then((late) => late.release()).catch(() => {});
    throw error;
  });
  try {
    const [row] = await run(() => connection`SELECT pg_try_advisory_lock(hashtext('fairpost.housekeeping')) AS locked`);
    if (row?.["locked"] !== true) return;
    try {
      await work();
    } finally {
      await run(() => connection`SELECT pg_advisory_unlock(hashtext('fairpost.housekeeping'))`);
    }
  } finally {
    connection.release();
  }
}

// The daily partitions of events, deliveries and attempts: made ahead of time, and dropped when their time is over.

import type { Sql } from "./database.ts";

const AHEAD_DAYS = 7;
/** Dropping waits for nobody for longer than this; the next round tries again. */
const LOCK_TIMEOUT_MS = 2_000;

/** Makes what is missing of today and the coming days; says how many. */
export async function ensureDayPartitions(sql: Sql): Promise<number> {
  const [row] = await sql`SELECT ensure_day_partitions(
    (now() AT TIME ZONE 'UTC')::date, (now() AT TIME ZONE 'UTC')::date + ${AHEAD_DAYS}::int) AS created`;
  return Number(row?.["created"] ?? 0);
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
  const pendingDays = new Set<number>();
  for (const { name, parent, ageDays } of tables) {
    if (parent !== "deliveries" || ageDays <= retentionDays) continue;
    const [pending] = await sql`SELECT 1 FROM ${sql(name)} WHERE status = 'pending' LIMIT 1`;
    if (pending !== undefined) pendingDays.add(ageDays);
  }
  const old = tables.filter(({ parent, ageDays }) =>
    parent === "events"
      ? ageDays > retentionDays + 1 && !pendingDays.has(ageDays) && !pendingDays.has(ageDays - 1)
      : ageDays > retentionDays && !pendingDays.has(ageDays),
  );
  for (const { name } of old) {
    await sql.begin(async (transaction) => {
      await transaction`SELECT set_config('lock_timeout', ${String(LOCK_TIMEOUT_MS)}, true)`;
      await transaction`DROP TABLE IF EXISTS ${transaction(name)}`;
    });
  }
  return old.length;
}

/** Up to a chunk of the subscribers of deleted users. */
export async function purgeDeletedUsers(sql: Sql, rowsMax: number): Promise<number> {
  const rows = await sql`DELETE FROM subscribers WHERE id IN (
    SELECT s.id FROM users u JOIN subscribers s ON s.user_id = u.id WHERE u.deleted_at IS NOT NULL LIMIT ${rowsMax}
  ) RETURNING 1`;
  return rows.length;
}

/** Runs `work` unless another process is at it just now. */
export async function withHousekeepingLock(sql: Sql, work: () => Promise<void>): Promise<void> {
  const connection = await sql.reserve();
  try {
    const [row] = await connection`SELECT pg_try_advisory_lock(hashtext('fairpost.housekeeping')) AS locked`;
    if (row?.["locked"] !== true) return;
    try {
      await work();
    } finally {
      await connection`SELECT pg_advisory_unlock(hashtext('fairpost.housekeeping'))`;
    }
  } finally {
    connection.release();
  }
}

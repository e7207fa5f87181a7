// Recoveries: everything that has failed at a webhook is tried again. The API marks the endpoint (db/webhooks.ts), and the
// worker that owns its partition starts the schedules anew, in chunks.

import type { WebhookId } from "../domain/ids.ts";
import { MASS_CHANGE_ROWS_MAX } from "../domain/limits.ts";
import type { Partition } from "../domain/partition.ts";
import { plainArray } from "./array-literal.ts";
import type { Sql } from "./database.ts";

/** With Postgres' full precision. */
export type Recovery = { webhookId: WebhookId; partition: Partition; since: string; before: string };

/** Endpoints of these partitions whose failed deliveries are to be tried again: of very many some, whichever. */
export async function listRecoveries(sql: Sql, partitions: readonly Partition[]): Promise<Recovery[]> {
  const rows = await sql`
    SELECT webhook_id, partition, recover_since::text AS since, recover_before::text AS before
    FROM endpoints WHERE partition = ANY (${plainArray(partitions)}::smallint[]) AND recover_before IS NOT NULL
    ORDER BY random() LIMIT 100`;
  return rows.map((row) => ({
    webhookId: row["webhook_id"],
    partition: row["partition"],
    since: row["since"],
    before: row["before"],
  }));
}

/** Starts up to a chunk of the schedules anew; says how many. */
export async function recoverFailed(sql: Sql, { webhookId, since, before }: Recovery): Promise<number> {
  const [row] = await sql`SELECT recover_failed(
    ${webhookId}, ${since}::text::timestamptz, ${before}::text::timestamptz, ${MASS_CHANGE_ROWS_MAX}) AS found`;
  return Number(row?.["found"] ?? 0);
}

/** The recovery is done; a newer mark stays. */
export async function clearRecovery(sql: Sql, { webhookId, before }: Recovery): Promise<void> {
  await sql`UPDATE endpoints SET recover_since = NULL, recover_before = NULL
    WHERE webhook_id = ${webhookId} AND recover_before = ${before}::text::timestamptz`;
}

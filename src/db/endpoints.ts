// The delivery side's view of webhooks: the settings that an attempt needs, the gate, and mass changes in chunks.

import type { Circuit } from "../domain/circuit.ts";
import type { UserId, WebhookId } from "../domain/ids.ts";
import { MASS_CHANGE_ROWS_MAX } from "../domain/limits.ts";
import type { Partition } from "../domain/partition.ts";
import { plainArray } from "./array-literal.ts";
import type { Sql } from "./database.ts";

export type EndpointSettings = {
  webhookId: WebhookId;
  userId: UserId;
  url: string;
  headers: Readonly<Record<string, string>>;
  maxInFlight: number;
  /** The webhook is active, and neither it nor its user is deleted. */
  isActive: boolean;
  /** Live signing secrets, newest first, still encrypted. */
  secrets: readonly Buffer[];
  /** Deliveries pending since before then are to be cancelled; milliseconds since the epoch. */
  cancelBefore: number | null;
  stored: StoredCircuit;
};

export type StoredCircuit = {
  circuit: Circuit;
  /** Milliseconds until the gate opens; 0 when it is open. */
  gateOpensInMs: number;
  /** For how long no attempt has succeeded, milliseconds; null: not failing. */
  failingForMs: number | null;
};

/** One per webhook that exists, deleted ones included. */
export async function listEndpointSettings(sql: Sql, ids: readonly WebhookId[]): Promise<EndpointSettings[]> {
  const rows = await sql.unsafe(
    `SELECT w.id, w.user_id, w.url, w.headers, w.max_in_flight,
       w.is_active AND w.deleted_at IS NULL AND u.deleted_at IS NULL AS is_active,
       extract(epoch FROM p.cancel_before) * 1000 AS cancel_before,
       greatest(0, extract(epoch FROM p.open_until - now()) * 1000) AS gate_opens_in_ms,
       extract(epoch FROM now() - p.failing_since) * 1000 AS failing_for_ms,
       p.circuit <> 'closed' AS is_open, p.failures, p.openings,
       ARRAY(SELECT encode(s.ciphertext, 'base64') FROM webhook_secrets s
         WHERE s.webhook_id = w.id AND (s.expires_at IS NULL OR s.expires_at > now())
         ORDER BY s.created_at DESC) AS secrets
     FROM webhooks w JOIN users u ON u.id = w.user_id JOIN endpoints p ON p.webhook_id = w.id
     WHERE w.id = ANY ($1::uuid[])`,
    [[...ids]],
    { prepare: true },
  );
  return rows.map((row) => ({
    webhookId: row["id"],
    userId: row["user_id"],
    url: row["url"],
    headers: row["headers"],
    maxInFlight: row["max_in_flight"],
    isActive: row["is_active"],
    secrets: (row["secrets"] as string[]).map((text) => Buffer.from(text, "base64")),
    cancelBefore: row["cancel_before"] === null ? null : Number(row["cancel_before"]),
    stored: {
      circuit: { isOpen: row["is_open"], failures: row["failures"], openings: row["openings"] },
      gateOpensInMs: Math.ceil(Number(row["gate_opens_in_ms"] ?? 0)),
      failingForMs: row["failing_for_ms"] === null ? null : Number(row["failing_for_ms"]),
    },
  }));
}

/**
 * A transition of an endpoint's circuit or gate; nothing when the webhook has another URL by now. The gate never opens
 * earlier than it was to, unless all is well.
 */
export async function saveCircuit(
  sql: Sql,
  { webhookId, url }: { webhookId: WebhookId; url: string },
  { circuit, shutForMs, isFailing }: { circuit: Circuit; shutForMs: number; isFailing: boolean },
): Promise<void> {
  // The share lock waits for a change of the URL that is not committed yet, and then looks at it again.
  await sql`
    WITH unchanged AS (SELECT id FROM webhooks WHERE id = ${webhookId} AND url = ${url} FOR SHARE)
    UPDATE endpoints SET
      circuit = ${circuit.isOpen ? "open" : "closed"}, failures = ${circuit.failures}, openings = ${circuit.openings},
      open_until = CASE
        WHEN ${shutForMs}::float8 > 0 THEN greatest(open_until, now() + ${shutForMs}::float8 * interval '1 millisecond')
        WHEN NOT ${isFailing}::boolean THEN NULL
        ELSE open_until END,
      failing_since = CASE WHEN ${isFailing}::boolean THEN coalesce(failing_since, now()) END
    WHERE webhook_id IN (SELECT id FROM unchanged)`;
}

export async function noteSuccesses(sql: Sql, webhookIds: readonly WebhookId[]): Promise<void> {
  await sql.unsafe(
    `WITH locked AS (
       SELECT webhook_id FROM endpoints WHERE webhook_id = ANY ($1::uuid[]) ORDER BY webhook_id
       FOR NO KEY UPDATE SKIP LOCKED
     )
     UPDATE endpoints SET last_success_at = now() WHERE webhook_id IN (SELECT webhook_id FROM locked)`,
    [[...webhookIds]],
    { prepare: true },
  );
}

/**
 * Disables a webhook that still has this URL, and marks its pending deliveries for cancellation. False: it was disabled
 * already, or has another URL.
 */
export async function disableWebhook(
  sql: Sql,
  { webhookId, url }: { webhookId: WebhookId; url: string },
  reason: string,
): Promise<boolean> {
  const rows = await sql`
    WITH disabled AS (
      UPDATE webhooks SET is_active = false, disabled_reason = ${reason}, updated_at = now()
      WHERE id = ${webhookId} AND url = ${url} AND is_active AND deleted_at IS NULL RETURNING id
    )
    UPDATE endpoints SET cancel_before = now() WHERE webhook_id IN (SELECT id FROM disabled) RETURNING webhook_id`;
  return rows.length > 0;
}

/** `before` has Postgres' full precision; `beforeMs` is the same in milliseconds since the epoch. */
export type Cancellation = { webhookId: WebhookId; partition: Partition; before: string; beforeMs: number };

/** Endpoints of these partitions whose pending deliveries are to be cancelled: of very many some, whichever. */
export async function listCancellations(sql: Sql, partitions: readonly Partition[]): Promise<Cancellation[]> {
  const rows = await sql`
    SELECT webhook_id, partition, cancel_before::text AS before, extract(epoch FROM cancel_before) * 1000 AS before_ms
    FROM endpoints WHERE partition = ANY (${plainArray(partitions)}::smallint[]) AND cancel_before IS NOT NULL
    ORDER BY random() LIMIT 100`;
  return rows.map((row) => ({
    webhookId: row["webhook_id"],
    partition: row["partition"],
    before: row["before"],
    beforeMs: Number(row["before_ms"]),
  }));
}

/** Cancels up to a chunk of the deliveries of one webhook that are pending since before the mark; says how many. */
export async function cancelPending(sql: Sql, { webhookId, partition, before }: Cancellation): Promise<number> {
  const [row] = await sql`SELECT cancel_pending(
    ${webhookId}, ${partition}, ${before}::text::timestamptz, ${MASS_CHANGE_ROWS_MAX}) AS found`;
  return Number(row?.["found"] ?? 0);
}

/** The cancellation is done; a newer mark stays. */
export async function clearCancellation(sql: Sql, { webhookId, before }: Cancellation): Promise<void> {
  await sql`UPDATE endpoints SET cancel_before = NULL
    WHERE webhook_id = ${webhookId} AND cancel_before = ${before}::text::timestamptz`;
}

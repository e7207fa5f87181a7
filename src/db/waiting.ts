// The due query: deliveries that wait in the table and whose turn has come. It is at once the outbox relay, the overflow
// valve, the long-retry timer, the backlog of a held-back endpoint and the recovery after a lost stream.

import type { DeliveryId, EventId, UserId, WebhookId } from "../domain/ids.ts";
import { PUBLISH_GRACE_MS } from "../domain/limits.ts";
import type { Partition } from "../domain/partition.ts";
import type { Priority } from "../domain/priority.ts";
import { plainArray } from "./array-literal.ts";
import type { Sql } from "./database.ts";

/** One endpoint's deliveries of one priority: what a subject of the stream holds. */
export type Lane = { webhookId: WebhookId; priority: Priority };

/** A lane and whose it is. */
export type UsersLane = Lane & { userId: UserId };

/** A lane and how many more messages of it the stream takes. */
export type LaneRoom = Lane & { room: number };

/** How far rows have been read in the order of `due_at, id`. */
export type Bookmark = { dueAt: string; id: DeliveryId };

export const BEGINNING: Bookmark = {
  dueAt: "-infinity",
  id: "00000000-0000-0000-0000-000000000000" as DeliveryId,
};

/** Before every lane. */
const START = { webhookId: "00000000-0000-0000-0000-000000000000", priority: "" };

export type DueRow = {
  id: DeliveryId;
  eventId: EventId;
  eventType: string;
  webhookId: WebhookId;
  userId: UserId;
  partition: Partition;
  priority: Priority;
  generation: number;
  attemptCount: number;
  scheduleBase: number;
  /** Milliseconds since the epoch. */
  pendingSince: number;
  bookmark: Bookmark;
  payloadBytes: number;
  /** Undefined where the answer held enough already: then `listPayloads` has it. */
  payload: string | undefined;
};

const WAITING = `status = 'pending' AND stream_seq IS NULL`;

const DUE_COLUMNS = `d.id, d.event_id, d.event_type, d.webhook_id, d.user_id, d.partition, d.priority, d.generation,
  d.attempt_count, d.schedule_base, extract(epoch FROM d.pending_since) * 1000 AS pending_since,
  d.due_at::text AS due_at`;

/** Neither a circuit nor a Retry-After holds anything back. */
const IS_OPEN = `circuit = 'closed' AND coalesce(open_until <= now(), true)`;

// A shut gate lets nothing through; a half-open circuit one delivery.
const GATE = `CASE WHEN p.open_until > now() THEN 0 WHEN p.circuit <> 'closed' THEN 1 ELSE 1000000 END`;

/**
 * Walks the lanes of a partition that have waiting rows, one index probe each, from behind `after` on.
 * $1 partition, $2/$3 the lane to start behind, $4 lanes at the most.
 */
const LANES = `
  WITH RECURSIVE lanes AS (
    (SELECT webhook_id, priority, 1 AS n FROM deliveries
      WHERE partition = $1 AND ${WAITING} AND (webhook_id, priority) > ($2::uuid, $3::text)
      ORDER BY webhook_id, priority LIMIT 1)
    UNION ALL
    SELECT next.webhook_id, next.priority, l.n + 1 FROM lanes l, LATERAL (
      SELECT webhook_id, priority FROM deliveries
      WHERE partition = $1 AND ${WAITING} AND (webhook_id, priority) > (l.webhook_id, l.priority)
      ORDER BY webhook_id, priority LIMIT 1) next
    WHERE l.n < $4
  )
  SELECT l.webhook_id, l.priority, p.user_id FROM lanes l JOIN endpoints p ON p.webhook_id = l.webhook_id
  ORDER BY l.n`;

/** Lanes with waiting rows, due or not, in index order, from behind `after` on. */
export async function listWaitingLanes(
  sql: Sql,
  partition: Partition,
  after: Lane | undefined,
  lanesMax: number,
): Promise<UsersLane[]> {
  const behind = after ?? START;
  const rows = await sql.unsafe(LANES, [partition, behind.webhookId, behind.priority, lanesMax], { prepare: true });
  return rows.map(usersLaneOf);
}

function usersLaneOf(row: Record<string, unknown>): UsersLane {
  return {
    webhookId: row["webhook_id"] as WebhookId,
    priority: row["priority"] as Priority,
    userId: row["user_id"] as UserId,
  };
}

// Payloads up to $7 bytes in all, and the first one however large: in the order of the answer, so that nothing is sorted twice.
const DUE_OF_LANES = `
  SELECT ${DUE_COLUMNS}, octet_length(e.payload) AS payload_bytes,
    CASE WHEN sum(octet_length(e.payload)) OVER (ORDER BY d.webhook_id, d.priority, d.due_at, d.id ROWS UNBOUNDED PRECEDING)
      - octet_length(e.payload) < $7 THEN e.payload END AS payload
  FROM unnest($2::uuid[], $3::text[], $4::int[], $5::text[]::timestamptz[], $6::uuid[])
    AS l(webhook_id, priority, room, after_due_at, after_id)
  JOIN endpoints p ON p.webhook_id = l.webhook_id
  CROSS JOIN LATERAL (
    SELECT * FROM deliveries d
    WHERE d.partition = $1 AND d.webhook_id = l.webhook_id AND d.priority = l.priority AND d.${WAITING}
      AND d.due_at <= now() AND (d.due_at, d.id) > (l.after_due_at, l.after_id)
    ORDER BY d.due_at, d.id
    LIMIT least(l.room, ${GATE})
  ) d
  JOIN events e ON e.id = d.event_id
  ORDER BY d.webhook_id, d.priority, d.due_at, d.id`;

/** The oldest due rows of each lane, at most its room, in order; payloads until they are `payloadBytesMax` in all. */
export async function listDue(
  sql: Sql,
  partition: Partition,
  lanes: readonly (LaneRoom & { after?: Bookmark | undefined })[],
  payloadBytesMax: number,
): Promise<DueRow[]> {
  const rows = await sql.unsafe(
    DUE_OF_LANES,
    [
      partition,
      lanes.map((lane) => lane.webhookId),
      lanes.map((lane) => lane.priority),
      lanes.map((lane) => lane.room),
      lanes.map((lane) => (lane.after ?? BEGINNING).dueAt),
      lanes.map((lane) => (lane.after ?? BEGINNING).id),
      payloadBytesMax,
    ],
    { prepare: true },
  );
  return rows.map((row) => ({
    id: row["id"],
    eventId: row["event_id"],
    eventType: row["event_type"],
    webhookId: row["webhook_id"],
    userId: row["user_id"],
    partition: row["partition"],
    priority: row["priority"],
    generation: row["generation"],
    attemptCount: row["attempt_count"],
    scheduleBase: row["schedule_base"],
    pendingSince: Number(row["pending_since"]),
    bookmark: { dueAt: row["due_at"], id: row["id"] },
    payloadBytes: row["payload_bytes"],
    payload: row["payload"] ?? undefined,
  }));
}

/** The payloads of events, by id; without those that are gone. */
export async function listPayloads(sql: Sql, eventIds: readonly EventId[]): Promise<Map<EventId, string>> {
  const ids = eventIds.toSorted();
  const rows = await sql`SELECT id, payload FROM events
    WHERE id = ANY (${ids}::uuid[]) AND id BETWEEN ${ids[0] ?? null} AND ${ids.at(-1) ?? null}`;
  return new Map(rows.map((row) => [row["id"], row["payload"]]));
}

/**
 * Ends the grace of rows that the API's publish was refused for: their turn has come, before that of whatever is accepted
 * from now on. Rows that someone else holds just now are left out, and wait until it is over.
 */
export async function endGrace(sql: Sql, ids: readonly DeliveryId[]): Promise<void> {
  const sorted = ids.toSorted();
  await sql.unsafe(
    `WITH refused AS (
       SELECT id FROM deliveries
       WHERE id = ANY ($1::uuid[]) AND id BETWEEN $2 AND $3 AND ${WAITING}
         AND due_at = pending_since + interval '${PUBLISH_GRACE_MS} milliseconds' AND due_at > now()
       ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
     )
     UPDATE deliveries SET due_at = now() WHERE id = ANY (ARRAY(SELECT id FROM refused)) AND id BETWEEN $2 AND $3`,
    [plainArray(sorted), sorted[0] ?? null, sorted.at(-1) ?? null],
    { prepare: true },
  );
}

/** Tells the API to leave the new deliveries of these lanes to refill. Says whose were not all marked already. */
export async function markBacklogs(sql: Sql, lanes: readonly Lane[]): Promise<Set<WebhookId>> {
  const rows = await sql.unsafe(
    `WITH lanes AS (
       SELECT webhook_id, array_agg(DISTINCT priority) AS priorities
       FROM unnest($1::uuid[], $2::text[]) AS lane (webhook_id, priority) GROUP BY webhook_id
     ), locked AS (
       SELECT webhook_id FROM endpoints WHERE webhook_id = ANY ($1::uuid[]) ORDER BY webhook_id FOR NO KEY UPDATE
     )
     UPDATE endpoints e SET backlog = ARRAY(SELECT DISTINCT unnest(e.backlog || lanes.priorities))
     FROM lanes JOIN locked USING (webhook_id)
     WHERE e.webhook_id = lanes.webhook_id AND NOT e.backlog @> lanes.priorities
     RETURNING e.webhook_id`,
    [plainArray(lanes.map(({ webhookId }) => webhookId)), plainArray(lanes.map(({ priority }) => priority))],
    { prepare: true },
  );
  return new Set(rows.map((row) => row["webhook_id"]));
}

/**
 * Tells the API to publish a lane's new deliveries itself again. False: it was told already, or the gate is not open, so
 * that nobody can say what waits behind it.
 */
export async function clearBacklog(sql: Sql, lane: Lane): Promise<boolean> {
  const { count } = await sql`UPDATE endpoints SET backlog = array_remove(backlog, ${lane.priority})
    WHERE webhook_id = ${lane.webhookId} AND ${lane.priority} = ANY (backlog) AND ${sql.unsafe(IS_OPEN)}`;
  return count > 0;
}

/**
 * Lanes of a partition that are marked as having a backlog, and whose gate is open, in order, from behind `after` on.
 * OFFSET 0: all marked endpoints are found by their index and sorted, which is less than a walk over all that there are.
 */
export async function listBacklogs(
  sql: Sql,
  partition: Partition,
  after: Lane | undefined,
  lanesMax: number,
): Promise<UsersLane[]> {
  const behind = after ?? START;
  const rows = await sql`
    SELECT * FROM (
      SELECT webhook_id, unnest(backlog) AS priority, user_id FROM endpoints
      WHERE partition = ${partition} AND backlog <> '{}' AND ${sql.unsafe(IS_OPEN)} OFFSET 0
    ) marked
    WHERE (webhook_id, priority) > (${behind.webhookId}::uuid, ${behind.priority}::text)
    ORDER BY webhook_id, priority LIMIT ${lanesMax}`;
  return rows.map(usersLaneOf);
}

// Acceptance: events, and one delivery per matching active webhook, written by one statement. Its commit is the moment
// from which nothing is lost.

import type { DeliveryId, EventId, SubscriberId, UserId, WebhookId } from "../domain/ids.ts";
import { PUBLISH_GRACE_MS } from "../domain/limits.ts";
import type { Partition } from "../domain/partition.ts";
import type { PayloadPieces } from "../domain/payload.ts";
import type { Priority } from "../domain/priority.ts";
import type { SubscriberStatus } from "../domain/subscriber.ts";
import type { Sql } from "./database.ts";

/** An event about to be accepted. `patterns`: what a webhook's list must hold one of; `onlyTo` goes past them. */
export type EventRow = {
  id: EventId;
  user_id: UserId;
  type: string;
  priority: Priority;
  pieces: PayloadPieces;
  patterns: readonly string[];
  only_to: WebhookId | null;
  not_to: WebhookId | null;
};

export type SubscriberRow = {
  id: SubscriberId;
  user_id: UserId;
  email: string;
  first_name: string | null;
  last_name: string | null;
  tags: readonly string[];
  /** JSON text. */
  custom_fields: string;
  status: SubscriberStatus;
};

export type AcceptedEvent = { id: EventId; payload: string; created_at: string };

export type AcceptedDelivery = {
  id: DeliveryId;
  event_id: EventId;
  webhook_id: WebhookId;
  partition: Partition;
  /** False: the endpoint has a backlog or its gate is shut; refill takes the delivery in its turn. */
  publish: boolean;
};

export type Accepted = { events: AcceptedEvent[]; deliveries: AcceptedDelivery[] };

/**
 * The instant of acceptance. The statement's: a transaction may have begun before it waited for another change of the same
 * subscriber, and who keeps the newest payload must not keep that one.
 */
const NOW = "statement_timestamp()";
/** The same as it stands in payloads: RFC 3339, milliseconds, UTC. */
const NOW_TEXT = `to_char(${NOW} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

// `accepted` must name a CTE with the columns of `new_events` that are to be written. OFFSET 0 keeps the webhooks of each
// event a look-up by its user: a plan that is made while there are few of them would read them all, and be kept.
const FAN_OUT = `
  written AS (
    INSERT INTO events (id, user_id, type, priority, payload, created_at)
    SELECT id, user_id, type, priority, array_to_string(pieces, (SELECT ${NOW_TEXT})), ${NOW} FROM accepted
    RETURNING id
  ),
  matched AS (
    SELECT a.id AS event_id, a.user_id, a.type, a.priority, w.id AS webhook_id, w.partition,
      NOT (a.priority = ANY (p.backlog)) AND p.circuit = 'closed' AND coalesce(p.open_until <= ${NOW}, true) AS publish
    FROM accepted a
    CROSS JOIN LATERAL (
      SELECT * FROM webhooks w
      WHERE w.user_id = a.user_id AND w.deleted_at IS NULL AND w.is_active
        AND CASE WHEN a.only_to IS NULL THEN w.events && a.patterns ELSE w.id = a.only_to END
        AND w.id IS DISTINCT FROM a.not_to
      OFFSET 0
    ) w
    JOIN endpoints p ON p.webhook_id = w.id
  ),
  fanned_out AS (
    INSERT INTO deliveries (id, event_id, webhook_id, user_id, partition, priority, event_type, created_at, pending_since, due_at)
    SELECT delivery_id_of(event_id), event_id, webhook_id, user_id, partition, priority, type, ${NOW}, ${NOW},
      CASE WHEN publish THEN ${NOW} + interval '${PUBLISH_GRACE_MS} milliseconds' ELSE ${NOW} END
    FROM matched
    RETURNING id, event_id, webhook_id, partition, due_at > pending_since AS publish
  )`;

const EVENT_COLUMNS = `(id uuid, user_id uuid, type text, priority text, pieces text[], patterns text[],
  only_to uuid, not_to uuid)`;

// One row: which events were written, when, and the deliveries as JSON. Payloads do not come back: whoever has the pieces
// and the instant has them, for a third less than it takes to quote them as JSON and read them again.
const ANSWER = `
  SELECT
    to_json(${NOW}) AS created_at, ${NOW_TEXT} AS instant,
    (SELECT json_agg(id) FROM written) AS events,
    (SELECT json_agg(json_build_object('id', id, 'event_id', event_id, 'webhook_id', webhook_id,
        'partition', partition, 'publish', publish)) FROM fanned_out) AS deliveries`;

const ACCEPT_EVENTS = `
  WITH accepted AS (SELECT * FROM json_to_recordset($1::text::json) AS e${EVENT_COLUMNS}),
  ${FAN_OUT}
  ${ANSWER}`;

/** Runs as a statement of its own, or inside the caller's transaction. */
export async function acceptEvents(sql: Sql, events: readonly EventRow[]): Promise<Accepted> {
  const [row] = await sql.unsafe(ACCEPT_EVENTS, [JSON.stringify(events)], { prepare: true });
  return readAnswer(row, events);
}

// Ordered by the unique key, so that two statements with the same e-mails wait for each other instead of deadlocking; of
// two with the same e-mail in one statement the first is taken.
const ACCEPT_SUBSCRIBERS = `
  WITH given AS (
    SELECT * FROM json_to_recordset($1::text::json) AS s(id uuid, user_id uuid, email text, first_name text, last_name text,
      tags text[], custom_fields text, status text)
  ),
  known AS (
    SELECT g.* FROM given g
    CROSS JOIN LATERAL (SELECT FROM users u WHERE u.id = g.user_id AND u.deleted_at IS NULL OFFSET 0) u
  ),
  created AS (
    INSERT INTO subscribers (id, user_id, email, first_name, last_name, tags, custom_fields, status, created_at, updated_at)
    SELECT id, user_id, email, first_name, last_name, tags, custom_fields::json, status, ${NOW}, ${NOW} FROM known
    ORDER BY user_id, lower(email), id
    ON CONFLICT (user_id, lower(email)) DO NOTHING
    RETURNING id
  ),
  accepted AS (
    SELECT e.id, e.user_id, e.type, e.priority, e.pieces, e.patterns, e.only_to, e.not_to
    FROM json_to_recordset($2::text::json) AS e(id uuid, user_id uuid, type text, priority text, pieces text[],
      patterns text[], only_to uuid, not_to uuid, subscriber_id uuid)
    JOIN created c ON c.id = e.subscriber_id
  ),
  ${FAN_OUT},
  answer AS (${ANSWER})
  SELECT answer.*,
    (SELECT json_agg(id) FROM known) AS known,
    (SELECT json_agg(id) FROM created) AS created
  FROM answer`;

export type AcceptedSubscribers = Accepted & {
  /** Subscribers whose user exists; one that is known but not created has a taken e-mail. */
  known: ReadonlySet<SubscriberId>;
  created: ReadonlyMap<SubscriberId, Date>;
};

/** Creates what can be created of `subscribers`, and accepts the event of each that was. */
export async function acceptSubscribers(
  sql: Sql,
  subscribers: readonly SubscriberRow[],
  events: readonly (EventRow & { subscriber_id: SubscriberId })[],
): Promise<AcceptedSubscribers> {
  const [row] = await sql.unsafe(ACCEPT_SUBSCRIBERS, [JSON.stringify(subscribers), JSON.stringify(events)], {
    prepare: true,
  });
  const known: SubscriberId[] = row?.["known"] ?? [];
  const created: SubscriberId[] = row?.["created"] ?? [];
  const createdAt = new Date(row?.["created_at"]);
  return {
    ...readAnswer(row, events),
    known: new Set(known),
    created: new Map(created.map((id) => [id, createdAt])),
  };
}

function readAnswer(row: Record<string, unknown> | undefined, given: readonly EventRow[]): Accepted {
  const written = new Set((row?.["events"] ?? []) as EventId[]);
  const instant = String(row?.["instant"]);
  const created_at = String(row?.["created_at"]);
  return {
    events: given
      .filter(({ id }) => written.has(id))
      .map(({ id, pieces }) => ({ id, payload: pieces.join(instant), created_at })),
    // Ids begin as their events' do. The rows come in whatever order was good for locking.
    deliveries: ((row?.["deliveries"] ?? []) as AcceptedDelivery[]).toSorted((a, b) => (a.id < b.id ? -1 : 1)),
  };
}

/** How many subscribers and active webhooks `userId` has, each counted up to one more than its bound. */
export async function sizeUpAccount(
  sql: Sql,
  userId: UserId,
  subscribersMax: number,
  webhooksMax: number,
): Promise<{ subscribers: number; webhooks: number }> {
  const [row] = await sql`SELECT
    (SELECT count(*) FROM (SELECT 1 FROM subscribers WHERE user_id = ${userId} LIMIT ${subscribersMax + 1}) s)
      AS subscribers,
    (SELECT count(*) FROM (SELECT 1 FROM webhooks WHERE user_id = ${userId} AND deleted_at IS NULL AND is_active
      LIMIT ${webhooksMax + 1}) w) AS webhooks`;
  return { subscribers: Number(row?.["subscribers"]), webhooks: Number(row?.["webhooks"]) };
}

/** Active webhooks of `userId` that want an event of which these are the patterns. */
export async function countMatchingWebhooks(sql: Sql, userId: UserId, patterns: readonly string[]): Promise<number> {
  const [row] = await sql`SELECT count(*)::int AS count FROM webhooks
    WHERE user_id = ${userId} AND deleted_at IS NULL AND is_active AND events && ${[...patterns]}::text[]`;
  return Number(row?.["count"]);
}

// Deliveries as the API reads them, and the replay. The delivery side writes them in batches of its own.

import { and, asc, between, desc, eq, getTableColumns, ne, sql } from "drizzle-orm";
import type { DeliveryStatus } from "../domain/delivery.ts";
import { DomainError, notFound } from "../domain/error.ts";
import type { DeliveryId, EventId, UserId, WebhookId } from "../domain/ids.ts";
import { keepDeliveringAttempt, NO_DELIVERING_ATTEMPT } from "./attempts.ts";
import type { Database, Transaction } from "./database.ts";
import { inWindow, readInPieces, type Window } from "./pages.ts";
import { deliveries, endpoints, webhooks } from "./schema.ts";

export type Delivery = Omit<typeof deliveries.$inferSelect, "deliveringResponseBody"> & {
  /** While it is pending: its endpoint lets nothing through before then (an open circuit, or Retry-After). */
  gateOpensAt: Date | null;
};

export type DeliveryFilter = {
  status?: DeliveryStatus | undefined;
  webhookId?: WebhookId | undefined;
  eventType?: string | undefined;
};

/** A body is for those who ask about one delivery, with its attempts. */
const { deliveringResponseBody: _body, ...COLUMNS } = getTableColumns(deliveries);

/** The gate is a question per row of the answer, by primary key: a join could change in what order rows are found. */
function columns(db: Database) {
  const gate = db.orm
    .select({ openUntil: endpoints.openUntil })
    .from(endpoints)
    .where(and(eq(endpoints.webhookId, deliveries.webhookId), eq(deliveries.status, "pending")));
  return {
    ...COLUMNS,
    gateOpensAt: sql<Date | null>`(${gate})`.mapWith(endpoints.openUntil).as("gate_opens_at"),
  };
}

const owned = (userId: UserId, id: DeliveryId) => and(eq(deliveries.id, id), eq(deliveries.userId, userId));

export async function findDelivery(db: Database, userId: UserId, id: DeliveryId): Promise<Delivery | undefined> {
  const rows = await db.query(() => db.orm.select(columns(db)).from(deliveries).where(owned(userId, id)), userId);
  return rows[0];
}

/** Newest first; `hasMore` says whether any are left after them. */
export function listDeliveries(
  db: Database,
  userId: UserId,
  filter: DeliveryFilter,
  window: Window,
): Promise<{ data: Delivery[]; hasMore: boolean }> {
  return readInPieces(window, async (piece) => {
    const where = and(
      eq(deliveries.userId, userId),
      filter.status && eq(deliveries.status, filter.status),
      filter.webhookId && eq(deliveries.webhookId, filter.webhookId),
      filter.eventType === undefined ? undefined : eq(deliveries.eventType, filter.eventType),
      inWindow(deliveries.id, deliveries.createdAt, piece),
    );
    const rows = await db.query(
      () =>
        db.orm
          .select(columns(db))
          .from(deliveries)
          .where(where)
          .orderBy(desc(deliveries.id))
          .limit(piece.limit + 1),
      userId,
    );
    return { data: rows.slice(0, piece.limit), hasMore: rows.length > piece.limit };
  });
}

/** Oldest first, up to `limit`. */
export async function listDeliveriesOfEvent(
  db: Database,
  userId: UserId,
  eventId: EventId,
  limit: number,
): Promise<Delivery[]> {
  // Their ids begin as the event's does (see `delivery_id_of` in drizzle/): a short stretch of the primary key.
  const beginning = eventId.slice(0, 18);
  const where = and(
    between(
      deliveries.id,
      `${beginning}-0000-000000000000` as DeliveryId,
      `${beginning}-ffff-ffffffffffff` as DeliveryId,
    ),
    eq(deliveries.eventId, eventId),
    eq(deliveries.userId, userId),
  );
  return db.query(
    () => db.orm.select(columns(db)).from(deliveries).where(where).orderBy(asc(deliveries.id)).limit(limit),
    userId,
  );
}

/**
 * Starts the delivery's schedule again, in the lane `low`; attempt numbers go on. The generation rises, so that messages
 * and results of its past no longer count. Throws not_found, and conflict while it is pending or its webhook is off.
 */
export async function replayDelivery(db: Database, userId: UserId, id: DeliveryId): Promise<Delivery> {
  const where = and(owned(userId, id), ne(deliveries.status, "pending"), sql`EXISTS (${activeWebhook(db)})`);
  const replay = async (tx: Transaction): Promise<Delivery[]> => {
    // Once it is locked, nobody else changes it.
    const found = await tx.select({ id: deliveries.id }).from(deliveries).where(where).for("no key update");
    if (found.length === 0) return [];
    await keepDeliveringAttempt(tx, id);
    return tx
      .update(deliveries)
      .set({
        status: "pending",
        generation: sql`${deliveries.generation} + 1`,
        streamSeq: null,
        streamEpoch: null,
        dueAt: sql`now()`,
        pendingSince: sql`now()`,
        scheduleBase: sql`${deliveries.attemptCount}`,
        completedAt: null,
        priority: "low",
        partition: sql`(SELECT ${webhooks.partition} FROM ${webhooks} WHERE ${webhooks.id} = ${deliveries.webhookId})`,
        ...NO_DELIVERING_ATTEMPT,
      })
      .where(eq(deliveries.id, id))
      .returning(columns(db));
  };
  const [replayed] = await db.query(() => db.orm.transaction(replay), userId);
  return replayed ?? refuseReplay(db, userId, id);
}

function activeWebhook(db: Database) {
  return db.orm
    .select({ id: webhooks.id })
    .from(webhooks)
    .where(and(eq(webhooks.id, deliveries.webhookId), webhooks.isActive, sql`${webhooks.deletedAt} IS NULL`));
}

async function refuseReplay(db: Database, userId: UserId, id: DeliveryId): Promise<never> {
  const delivery = await findDelivery(db, userId, id);
  if (delivery === undefined) throw notFound("delivery");
  if (delivery.status === "pending") throw new DomainError("conflict", "This delivery is pending already.");
  throw new DomainError("conflict", "The webhook of this delivery is inactive or deleted: nothing is sent to it.");
}

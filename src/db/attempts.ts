// The attempts of a delivery: the one that delivered it is in the delivery's own row (see `record_results` in drizzle/),
// the others have rows of their own.

import { and, asc, eq, isNotNull, type SQL, sql } from "drizzle-orm";
import { unionAll } from "drizzle-orm/pg-core";
import type { DeliveryId, UserId } from "../domain/ids.ts";
import type { Database, Transaction } from "./database.ts";
import { attempts, deliveries } from "./schema.ts";

export type Attempt = typeof attempts.$inferSelect;

/** Attempts that one answer lists: a delivery that is replayed for ever must not become a long page. */
const ATTEMPTS_LISTED_MAX = 1_000;

/** The attempt that delivered, as `attempts` would have it. */
const DELIVERING = {
  id: sql<Attempt["id"]>`${deliveries.deliveringId}`.as("id"),
  deliveryId: deliveries.id,
  attempt: sql<number>`${deliveries.deliveringAttempt}`.as("attempt"),
  statusCode: deliveries.deliveringStatusCode,
  latencyMs: sql<number>`${deliveries.deliveringLatencyMs}`.as("latency_ms"),
  error: sql<null>`NULL::text`.as("error"),
  responseBody: deliveries.deliveringResponseBody,
  createdAt: sql<Date>`${deliveries.completedAt}`.as("created_at"),
};

/** Of a row that has no such attempt. */
export const NO_DELIVERING_ATTEMPT = {
  deliveringId: null,
  deliveringAttempt: null,
  deliveringStatusCode: null,
  deliveringLatencyMs: null,
  deliveringResponseBody: null,
};

/** In the order in which they were made. */
export async function listAttempts(db: Database, userId: UserId, deliveryId: DeliveryId): Promise<Attempt[]> {
  const others = db.orm.select().from(attempts).where(eq(attempts.deliveryId, deliveryId));
  const delivering = db.orm.select(DELIVERING).from(deliveries).where(hasDelivering(deliveryId));
  return db.query(
    () => unionAll(others, delivering).orderBy(asc(attempts.attempt), asc(attempts.id)).limit(ATTEMPTS_LISTED_MAX),
    userId,
  );
}

/** Gives the attempt that delivered a row of its own, if there is one; the caller then clears it in the delivery's. */
export async function keepDeliveringAttempt(tx: Transaction, id: DeliveryId): Promise<void> {
  await tx
    .insert(attempts)
    .select(tx.select(DELIVERING).from(deliveries).where(hasDelivering(id)))
    .onConflictDoNothing();
}

function hasDelivering(id: DeliveryId): SQL | undefined {
  return and(eq(deliveries.id, id), isNotNull(deliveries.deliveringId));
}

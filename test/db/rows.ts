// Rows for the database's tests: a user with webhooks, and deliveries in any state, without the API.

import { acceptEvents, type EventRow } from "../../src/db/accept.ts";
import { type Database, openDatabase, type Sql } from "../../src/db/database.ts";
import { patternsMatching } from "../../src/domain/event-type.ts";
import { type DeliveryId, type EventId, newId, type UserId, type WebhookId } from "../../src/domain/ids.ts";
import { type Partition, partitionOf } from "../../src/domain/partition.ts";
import { payloadPieces } from "../../src/domain/payload.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { type TestDatabase, testDatabase } from "../support/services.ts";

export type Rows = {
  server: TestDatabase;
  db: Database;
  sql: Sql;
  user(): Promise<UserId>;
  webhook(userId: UserId, more?: { events?: string[]; isActive?: boolean; isDeleted?: boolean }): Promise<Webhook>;
  /** Accepted by the statement of the product, due at once unless told otherwise. */
  deliver(webhook: Webhook, count?: number): Promise<DeliveryId[]>;
  one(id: DeliveryId): Promise<Record<string, unknown>>;
  stop(): Promise<void>;
};

export type Webhook = { id: WebhookId; userId: UserId; partition: Partition };

export function eventOf(userId: UserId, type: string, more: Partial<EventRow> = {}): EventRow {
  return {
    id: newId<EventId>(),
    user_id: userId,
    type,
    priority: "high",
    pieces: payloadPieces(type, {}),
    patterns: patternsMatching(type),
    only_to: null,
    not_to: null,
    ...more,
  };
}

export async function startRows(): Promise<Rows> {
  const server = await testDatabase();
  const db = openDatabase({
    url: server.url,
    clock: systemClock,
    connectionsMax: 4,
    queryTimeoutMs: 10_000,
    queriesMax: 1_000,
    applicationName: "db-test",
  });
  const { sql } = db;
  return {
    server,
    db,
    sql,
    async user() {
      const id = newId<UserId>();
      await sql`INSERT INTO users (id, email, password_hash) VALUES (${id}, ${`${id}@example.com`}, '')`;
      return id;
    },
    async webhook(userId, { events = ["*"], isActive = true, isDeleted = false } = {}) {
      const id = newId<WebhookId>();
      const partition = partitionOf(id);
      await sql`INSERT INTO webhooks (id, user_id, url, url_key, events, partition, is_active, deleted_at)
        VALUES (${id}, ${userId}, ${id}, ${id}, ${events}, ${partition}, ${isActive}, ${isDeleted ? sql`now()` : null})`;
      await sql`INSERT INTO endpoints (webhook_id, user_id, partition) VALUES (${id}, ${userId}, ${partition})`;
      return { id, userId, partition };
    },
    async deliver({ id, userId }, count = 1) {
      const events = Array.from({ length: count }, () => eventOf(userId, "a.test", { only_to: id }));
      const { deliveries } = await acceptEvents(sql, events);
      const ids = deliveries.map((delivery) => delivery.id);
      await sql`UPDATE deliveries SET due_at = now() WHERE id = ANY (${ids}::uuid[])`;
      return ids.toSorted();
    },
    async one(id) {
      const [row] = await sql`SELECT *, due_at - now() AS due_in FROM deliveries WHERE id = ${id}`;
      if (row === undefined) throw new Error("there is no such delivery");
      return row;
    },
    async stop() {
      await db.close();
      await server.drop();
    },
  };
}

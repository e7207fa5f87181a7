// schema.ts is what drizzle believes of the database that drizzle/ makes.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { is } from "drizzle-orm";
import { getTableConfig, PgTable } from "drizzle-orm/pg-core";
import { replayDelivery } from "../../src/db/deliveries.ts";
import { migrateDatabase } from "../../src/db/migrate.ts";
import * as schema from "../../src/db/schema.ts";
import type { DeliveryId } from "../../src/domain/ids.ts";
import { listDue } from "../../src/db/waiting.ts";
import { type Rows, startRows } from "./rows.ts";

let rows: Rows;
beforeAll(async () => {
  rows = await startRows();
});
afterAll(() => rows.stop());

const TYPES: Record<string, string> = {
  "timestamp with time zone": "timestamp with time zone",
  ARRAY: "text[]",
};

test.each(
  Object.values(schema)
    .filter((table) => is(table, PgTable))
    .map((table) => getTableConfig(table)),
)("schema.ts has the columns of the table $name, their types, nullability and defaults", async ({ name, columns }) => {
  const present = await rows.sql`SELECT column_name, data_type, is_nullable, column_default
      FROM information_schema.columns WHERE table_schema = 'public' AND table_name = ${name}`;
  const ofDatabase = present.map((column) => ({
    name: column["column_name"],
    type: TYPES[column["data_type"]] ?? column["data_type"],
    notNull: column["is_nullable"] === "NO",
    hasDefault: column["column_default"] !== null,
  }));
  const ofSchema = columns.map((column) => ({
    name: column.name,
    type: column.getSQLType(),
    notNull: column.notNull,
    hasDefault: column.hasDefault,
  }));
  const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
  expect(ofSchema.toSorted(byName)).toEqual(ofDatabase.toSorted(byName) as typeof ofSchema);
});

describe("ids", () => {
  test("a delivery's id is a UUIDv7 that begins as its event's does and differs from its siblings'", async () => {
    const eventId = Bun.randomUUIDv7();
    const made = await rows.sql`SELECT delivery_id_of(${eventId}) AS id FROM generate_series(1, 200)`;
    const ids = made.map((row) => String(row["id"]));
    for (const id of ids) {
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(id.slice(0, 18)).toBe(eventId.slice(0, 18));
    }
    expect(new Set(ids).size).toBe(200);
  });

  test("a day's floor is the smallest id of that day", async () => {
    const [row] = await rows.sql`SELECT uuid_v7_floor('2026-05-17')::text AS floor`;
    expect(row?.["floor"]).toStartWith(Date.UTC(2026, 4, 17).toString(16).padStart(12, "0").slice(0, 8));
    expect(row?.["floor"]).toEndWith("-0000-0000-000000000000");
  });
});

test("migrations may run twice, and by two at once", async () => {
  const tables = () =>
    rows.sql`SELECT count(*)::int AS count FROM information_schema.tables WHERE table_schema = 'public'`;
  const [before] = await tables();
  await Promise.all([migrateDatabase(rows.server.url), migrateDatabase(rows.server.url)]);
  const [after] = await tables();
  expect(after).toEqual(before as never);
});

test("a release with sixteen partitions is brought to eight: its rows in the stream return to the table", async () => {
  const webhook = await rows.webhook(await rows.user());
  const ids = await rows.deliver(webhook, 2);
  const [delivered] = (await rows.deliver(webhook)) as [DeliveryId];
  await rows.sql`UPDATE deliveries SET status = 'delivered' WHERE id = ${delivered}`;
  await rows.sql`ALTER TABLE webhooks DROP CONSTRAINT webhooks_partition_check`;
  await rows.sql`UPDATE deliveries SET stream_seq = 7, stream_epoch = 1 WHERE id = ${ids[0] ?? ""}`;
  for (const table of ["webhooks", "endpoints", "deliveries"]) {
    await rows.sql`UPDATE ${rows.sql(table)} SET partition = partition + 8`;
  }
  await rows.sql.begin((tx) => tx.file("drizzle/0004_eight_partitions.sql"));
  const lane = { webhookId: webhook.id, priority: "high", room: 64 } as const;
  const due = await listDue(rows.sql, webhook.partition, [lane], 1_000_000);
  expect(due.map(({ id, partition, generation }) => ({ id, partition, generation }))).toEqual(
    ids.map((id) => ({ id, partition: webhook.partition, generation: 1 })),
  );
  const replayed = await replayDelivery(rows.db, webhook.userId, delivered);
  expect(replayed.partition).toBe(webhook.partition);
  for (const table of ["webhooks", "endpoints", "deliveries"]) {
    const found = await rows.sql`SELECT DISTINCT partition FROM ${rows.sql(table)}`;
    expect(found.map((row) => row["partition"])).toEqual([webhook.partition]);
  }
});

test("two at once bring an empty database up to date", async () => {
  await rows.sql`DROP SCHEMA public CASCADE`;
  await rows.sql`DROP SCHEMA drizzle CASCADE`;
  await rows.sql`CREATE SCHEMA public`;
  await Promise.all([migrateDatabase(rows.server.url), migrateDatabase(rows.server.url)]);
  const [row] = await rows.sql`SELECT count(*)::int AS count FROM stream`;
  expect(row?.["count"]).toBe(1);
});

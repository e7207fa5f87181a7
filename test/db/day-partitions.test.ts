import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  dropOldPartitions,
  ensureDayPartitions,
  purgeDeletedUsers,
  withHousekeepingLock,
} from "../../src/db/day-partitions.ts";
import { type Rows, startRows } from "./rows.ts";

let rows: Rows;
beforeAll(async () => {
  rows = await startRows();
}, 30_000);
afterAll(() => rows.stop());

const daysOf = async (parent: string) => {
  const tables = await rows.sql`SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = ${parent}::regclass AND c.relname ~ '[0-9]{8}$' ORDER BY 1`;
  return tables.map((table) => String(table["name"]).slice(-8));
};
const dayAgo = (days: number) =>
  new Date(performance.timeOrigin + performance.now() - days * 86_400_000)
    .toISOString()
    .slice(0, 10)
    .replaceAll("-", "");

test("the coming days are made once, and rows find theirs", async () => {
  await ensureDayPartitions(rows.sql);
  expect(await ensureDayPartitions(rows.sql)).toBe(0);
  for (const parent of ["events", "deliveries", "attempts"])
    expect((await daysOf(parent)).length).toBeGreaterThanOrEqual(8);
  const webhook = await rows.webhook(await rows.user());
  const [id = ""] = await rows.deliver(webhook);
  const [row] = await rows.sql`SELECT tableoid::regclass::text AS place FROM deliveries WHERE id = ${id}`;
  expect(row?.["place"]).toBe(`deliveries_${dayAgo(0)}`);
});

test("old days go, those with something pending stay, and with them the events that it needs", async () => {
  await rows.sql`SELECT ensure_day_partitions((now() AT TIME ZONE 'UTC')::date - 40, (now() AT TIME ZONE 'UTC')::date)`;
  const webhook = await rows.webhook(await rows.user());
  const insert = (daysAgo: number, status: string) => rows.sql`
    INSERT INTO deliveries (id, event_id, webhook_id, user_id, partition, priority, event_type, due_at, status)
    VALUES (uuid_v7_floor((now() AT TIME ZONE 'UTC')::date - ${daysAgo}::int), gen_random_uuid(), ${webhook.id}, ${webhook.userId},
      ${webhook.partition}, 'high', 'a.test', now(), ${status})`;
  await insert(35, "pending");
  await insert(36, "delivered");
  expect(await dropOldPartitions(rows.sql, 30)).toBeGreaterThan(20);
  expect((await daysOf("deliveries")).filter((day) => day < dayAgo(30))).toEqual([dayAgo(35)]);
  expect((await daysOf("attempts")).filter((day) => day < dayAgo(30))).toEqual([dayAgo(35)]);
  expect((await daysOf("events")).filter((day) => day < dayAgo(31))).toEqual([dayAgo(36), dayAgo(35)]);
  expect(await daysOf("events")).toContain(dayAgo(31));
  expect(await dropOldPartitions(rows.sql, 30)).toBe(0);
});

test("deleted users' subscribers are purged in chunks", async () => {
  const [gone, here] = [await rows.user(), await rows.user()];
  for (const user of [gone, here]) {
    await rows.sql`INSERT INTO subscribers (id, user_id, email) SELECT gen_random_uuid(), ${user}, n || '@example.com' FROM generate_series(1, 5) n`;
  }
  await rows.sql`UPDATE users SET deleted_at = now() WHERE id = ${gone}`;
  expect([
    await purgeDeletedUsers(rows.sql, 3),
    await purgeDeletedUsers(rows.sql, 3),
    await purgeDeletedUsers(rows.sql, 3),
  ]).toEqual([3, 2, 0]);
});

test("housekeeping is done by one process at a time", async () => {
  const entered = Promise.withResolvers<void>();
  const leave = Promise.withResolvers<void>();
  const first = withHousekeepingLock(rows.sql, async () => {
    entered.resolve();
    await leave.promise;
  });
  await entered.promise;
  let second = 0;
  await withHousekeepingLock(rows.sql, async () => void (second += 1));
  expect(second).toBe(0);
  leave.resolve();
  await first;
  await withHousekeepingLock(rows.sql, async () => void (second += 1));
  expect(second).toBe(1);
});

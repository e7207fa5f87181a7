import { afterAll, beforeAll, expect, test } from "bun:test";
import { acceptEvents } from "../../src/db/accept.ts";
import { errorCodeOf } from "../../src/db/database.ts";
import {
  DAILY_TABLES,
  dropOldPartitions,
  ensureDayPartitions,
  purgeDeletedUsers,
  withHousekeepingLock,
} from "../../src/db/day-partitions.ts";
import { eventually } from "../support/services.ts";
import { eventOf, type Rows, startRows } from "./rows.ts";

let rows: Rows;
beforeAll(async () => {
  rows = await startRows();
});
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
const ensureAll = async () => {
  let made = 0;
  for (const table of DAILY_TABLES) made += await ensureDayPartitions(rows.sql, table);
  return made;
};
/** A delivery of `daysAgo`, in whatever partition takes it. */
const insert = async (daysAgo: number, status: string) => {
  const webhook = await rows.webhook(await rows.user());
  const [row] = await rows.sql`
    INSERT INTO deliveries (id, event_id, webhook_id, user_id, partition, priority, event_type, due_at, status)
    VALUES (uuid_v7_floor((now() AT TIME ZONE 'UTC')::date - ${daysAgo}::int), gen_random_uuid(), ${webhook.id}, ${webhook.userId},
      ${webhook.partition}, 'high', 'a.test', now(), ${status}) RETURNING id`;
  return String(row?.["id"]);
};
const placeOf = async (id: string) => {
  const [row] = await rows.sql`SELECT tableoid::regclass::text AS place FROM deliveries WHERE id = ${id}`;
  return row?.["place"];
};
/** Resolves when a statement waits for a lock. */
const someoneWaits = () =>
  eventually(async () => {
    const waiting = await rows.sql`SELECT 1 FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock'`;
    expect(waiting).toHaveLength(1);
  });

test("the coming days are made once, and rows find theirs", async () => {
  await ensureAll();
  expect(await ensureAll()).toBe(0);
  for (const parent of DAILY_TABLES) expect((await daysOf(parent)).length).toBeGreaterThanOrEqual(8);
  const webhook = await rows.webhook(await rows.user());
  const [id = ""] = await rows.deliver(webhook);
  expect(await placeOf(id)).toBe(`deliveries_${dayAgo(0)}`);
});

test("a day's table has all that its parent has, once", async () => {
  const day = dayAgo(-7);
  await rows.sql`DROP TABLE ${rows.sql(`deliveries_${day}`)}`;
  expect(await ensureDayPartitions(rows.sql, "deliveries")).toBe(1);
  // The migration's own were made by CREATE TABLE ... PARTITION OF.
  const shape = async (name: string) => {
    const indexes =
      await rows.sql`SELECT pg_get_indexdef(i.indexrelid) AS text, parent.inhparent::regclass::text AS parent
      FROM pg_index i LEFT JOIN pg_inherits parent ON parent.inhrelid = i.indexrelid WHERE i.indrelid = ${name}::regclass`;
    const constraints =
      await rows.sql`SELECT conname || pg_get_constraintdef(oid) AS text, coninhcount FROM pg_constraint
      WHERE conrelid = ${name}::regclass`;
    const columns = await rows.sql`SELECT column_name, data_type, is_nullable, column_default
      FROM information_schema.columns WHERE table_name = ${name} ORDER BY ordinal_position`;
    return JSON.stringify(
      [indexes, constraints, columns].map((found) => found.map((row) => JSON.stringify(row)).toSorted()),
    ).replaceAll(name.slice(-8), "day");
  };
  expect(await shape(`deliveries_${day}`)).toBe(await shape(`deliveries_${dayAgo(0)}`));
});

test("beside a long reader a day's table waits, and nobody who writes waits for it", async () => {
  const user = await rows.user();
  await rows.webhook(user);
  await rows.sql`DROP TABLE ${rows.sql(`events_${dayAgo(-7)}`)}`;
  const [reader, maker] = [await rows.sql.reserve(), await rows.sql.reserve()];
  await reader`BEGIN`;
  await reader`SELECT count(*) FROM events`;
  // Without the time limit, so that it waits as long as the reader reads.
  let isMade = false;
  const made = maker`SELECT ensure_day_partition('events', (now() AT TIME ZONE 'UTC')::date + 7)`.then(
    () => (isMade = true),
  );
  await someoneWaits();
  expect((await acceptEvents(rows.sql, [eventOf(user, "a.test")])).deliveries).toHaveLength(1);
  expect(isMade).toBe(false);
  await reader`COMMIT`;
  await made;
  reader.release();
  maker.release();
  expect(await daysOf("events")).toContain(dayAgo(-7));
});

test("making and dropping give up behind a long reader, and nothing is half done", async () => {
  await rows.sql`SELECT ensure_day_partition('attempts', (now() AT TIME ZONE 'UTC')::date - 50)`;
  await rows.sql`DROP TABLE ${rows.sql(`attempts_${dayAgo(-7)}`)}`;
  const reader = await rows.sql.reserve();
  await reader`BEGIN`;
  await reader`SELECT count(*) FROM attempts`;
  for (const work of [() => ensureDayPartitions(rows.sql, "attempts"), () => dropOldPartitions(rows.sql, 30)]) {
    const error = await work().catch((thrown: unknown) => thrown);
    expect(errorCodeOf(error)).toBe("55P03");
  }
  await reader`COMMIT`;
  reader.release();
  expect(await ensureDayPartitions(rows.sql, "attempts")).toBe(1);
  expect(await dropOldPartitions(rows.sql, 30)).toBe(1);
});

test("rows that found no day's table move into it when it is made, days later too", async () => {
  const today = rows.sql(`deliveries_${dayAgo(0)}`);
  await rows.sql`DROP TABLE ${today}`;
  const [now, earlier] = [await insert(0, "pending"), await insert(9, "delivered")];
  expect([await placeOf(now), await placeOf(earlier)]).toEqual(["deliveries_default", "deliveries_default"]);
  expect(await ensureDayPartitions(rows.sql, "deliveries")).toBe(2);
  expect([await placeOf(now), await placeOf(earlier)]).toEqual([`deliveries_${dayAgo(0)}`, `deliveries_${dayAgo(9)}`]);
  expect(await ensureDayPartitions(rows.sql, "deliveries")).toBe(0);
});

const makeDaysUntilToday = (first: number) =>
  rows.sql`SELECT ensure_day_partition(parent, (now() AT TIME ZONE 'UTC')::date - ago)
    FROM unnest(${[...DAILY_TABLES]}::text[]) parent, generate_series(0, ${first}::int) ago`;

test("old days go, those with something pending stay, and with them the events that it needs", async () => {
  await makeDaysUntilToday(40);
  await insert(35, "pending");
  await insert(36, "delivered");
  expect(await dropOldPartitions(rows.sql, 30)).toBeGreaterThan(20);
  expect((await daysOf("deliveries")).filter((day) => day < dayAgo(30))).toEqual([dayAgo(35)]);
  expect((await daysOf("attempts")).filter((day) => day < dayAgo(30))).toEqual([dayAgo(35)]);
  expect((await daysOf("events")).filter((day) => day < dayAgo(31))).toEqual([dayAgo(36), dayAgo(35)]);
  expect(await daysOf("events")).toContain(dayAgo(31));
  expect(await dropOldPartitions(rows.sql, 30)).toBe(0);
});

test("a replay in the middle of a drop keeps its day, with its events", async () => {
  await makeDaysUntilToday(45);
  const replayed = await insert(45, "failed");
  const replay = await rows.sql.reserve();
  await replay`BEGIN`;
  await replay`UPDATE deliveries SET status = 'pending' WHERE id = ${replayed}`;
  // A drop sees nothing pending, and waits for the lock: until the replay has ended, or for as long as it may.
  let isReplayed = false;
  const dropping = (async () => {
    while (!isReplayed) await dropOldPartitions(rows.sql, 30).catch(() => undefined);
  })();
  await someoneWaits();
  await replay`COMMIT`;
  replay.release();
  isReplayed = true;
  await dropping;
  await dropOldPartitions(rows.sql, 30);
  expect(await daysOf("deliveries")).toContain(dayAgo(45));
  expect(await daysOf("events")).toContain(dayAgo(45));
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
  const first = withHousekeepingLock(rows.db, async () => {
    entered.resolve();
    await leave.promise;
  });
  await entered.promise;
  let second = 0;
  await withHousekeepingLock(rows.db, async () => void (second += 1));
  expect(second).toBe(0);
  leave.resolve();
  await first;
  await withHousekeepingLock(rows.db, async () => void (second += 1));
  expect(second).toBe(1);
});

// What a database promises to those who share it: a deadline, and connections that no account takes for itself.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Database, openDatabase } from "../../src/db/database.ts";
import { DomainError } from "../../src/domain/error.ts";
import type { UserId } from "../../src/domain/ids.ts";
import { systemClock as clock } from "../../src/lib/clock.ts";
import { type TestDatabase, testDatabase } from "../support/services.ts";

const QUERY_TIMEOUT_MS = 1_000;
const REST_MS = 500;
const user = (name: string) => name as UserId;

let server: TestDatabase;
let database: Database;
beforeAll(async () => {
  server = await testDatabase();
  database = openDatabase({
    url: server.url,
    clock,
    connectionsMax: 4,
    queryTimeoutMs: QUERY_TIMEOUT_MS,
    queriesMax: 100,
    applicationName: "database.test",
    restMs: (_, userId) => (userId === user("resting") ? REST_MS : 0),
  });
  await Promise.all(
    Array.from({ length: 4 }, () => database.query(() => database.orm.execute("SELECT pg_sleep(0.05)"))),
  );
});
afterAll(async () => {
  await database.close();
  await server.drop();
});

const slow = (account: UserId) => database.query(() => database.orm.execute("SELECT pg_sleep(0.7)"), account);

test("one account's slow statements leave the connections to others, and the others' run on free ones at once", async () => {
  const own = Promise.allSettled(Array.from({ length: 20 }, () => slow(user("heavy"))));
  for (let n = 0; n < 5; n += 1) await database.query(() => database.orm.execute("SELECT 1"), user("light"));
  const [asleep] = await database.sql`SELECT count(*)::int AS count FROM pg_stat_activity
    WHERE application_name = 'database.test' AND query = 'SELECT pg_sleep(0.7)' AND state = 'active'`;
  // Five round trips and a look at the server, while the first two of the heavy ones are still asleep.
  expect(asleep?.["count"]).toBe(2);
  const ended = await own;
  expect(ended.filter(({ status }) => status === "fulfilled").length).toBe(2);
});

test("after its statements an account waits for the rest that it is told, and nobody else does", async () => {
  const quick = (account: UserId) => database.query(() => database.orm.execute("SELECT 1"), account);
  const startedAt = clock.monotonic();
  let hasRested = false;
  // Two at a time: the third has to wait for the rest of one of them.
  await Promise.all([quick(user("resting")), quick(user("resting"))]);
  const third = quick(user("resting")).then(() => (hasRested = true));
  await quick(user("light"));
  expect(hasRested).toBe(false);
  await third;
  expect(clock.monotonic() - startedAt).toBeGreaterThanOrEqual(REST_MS - 1);
});

test("what got no turn within the deadline is told so, and is not run any more", async () => {
  await database.sql`CREATE TABLE ran (n int)`;
  // The second two are given up a moment before the one that never runs: somebody must be waiting for them by then.
  const others = Promise.allSettled(Array.from({ length: 4 }, () => slow(user("busy"))));
  const never = database.query(() => database.orm.execute("INSERT INTO ran VALUES (1)"), user("busy"));
  const error = await never.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(DomainError);
  expect((error as DomainError).code).toBe("unavailable");
  await others;
  // Its turn comes when those before it have ended: later than its deadline.
  await Promise.allSettled([slow(user("busy")), slow(user("busy"))]);
  expect(await database.sql`SELECT n FROM ran`).toHaveLength(0);
});

test("a transaction that begins while all connections are busy gets one of its own", async () => {
  await database.sql`CREATE TABLE told (n int)`;
  const sleeping = Array.from({ length: 12 }, () => database.run(() => database.sql`SELECT pg_sleep(0.1)`));
  const transactions = Promise.allSettled(
    Array.from({ length: 12 }, (_, n) =>
      database.run(() =>
        database.sql.begin(async (transaction) => {
          await transaction`INSERT INTO told VALUES (${n})`;
          if (n % 2 === 1) throw new Error("rolled back");
        }),
      ),
    ),
  );
  await Promise.all(sleeping);
  const ended = await transactions;
  expect(ended.map(({ status }) => status)).toEqual(
    Array.from({ length: 12 }, (_, n) => (n % 2 === 0 ? "fulfilled" : "rejected")),
  );
  expect((await database.sql`SELECT n FROM told ORDER BY n`).map(({ n }) => n as number)).toEqual([0, 2, 4, 6, 8, 10]);
  const [left] = await database.sql`SELECT count(*)::int AS count FROM pg_stat_activity
    WHERE application_name = 'database.test' AND state LIKE 'idle in transaction%'`;
  expect(left?.["count"]).toBe(0);
});

test.each([
  ["53100", "unavailable"], // the disk is full
  ["53200", "unavailable"], // out of memory
  ["58030", "unavailable"], // an error of the disk
  ["57P03", "unavailable"], // starting up
  ["22P02", undefined], // the value's own fault
])("%s of Postgres becomes %p", async (code, expected) => {
  const text = `DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '${code}'; END $$`;
  const failures = [
    database.run(() => database.sql.unsafe(text)),
    database.query(() => database.orm.execute(text)),
  ].map((failing) =>
    failing.then(
      () => "in order",
      (error: unknown) => error,
    ),
  );
  for (const error of await Promise.all(failures)) {
    expect(error).not.toBe("in order");
    expect(error instanceof DomainError ? error.code : undefined).toBe(expected as "unavailable");
  }
});

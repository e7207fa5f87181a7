// Connections that break while something is under way on them: whoever waits is told, nothing runs elsewhere in its place,
// and what comes next finds new ones. (See src/db/postgres@3.4.9.patch.)

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Database, openDatabase } from "../../src/db/database.ts";
import { withHousekeepingLock } from "../../src/db/day-partitions.ts";
import { systemClock as clock } from "../../src/lib/clock.ts";
import { TcpProxy } from "../faults/tcp-proxy.ts";
import { eventually, type TestDatabase, testDatabase } from "../support/services.ts";

let server: TestDatabase;
let proxy: TcpProxy;
let database: Database;
beforeAll(async () => {
  server = await testDatabase();
  const url = new URL(server.url);
  proxy = await TcpProxy.to(Number(url.port));
  url.port = String(proxy.port);
  database = openDatabase({
    url: url.href,
    clock,
    connectionsMax: 3,
    queryTimeoutMs: 5_000,
    queriesMax: 100,
    applicationName: "lost-connection.test",
  });
  await database.run(() => database.sql`CREATE TABLE told (n int)`);
});
afterAll(async () => {
  await database.close();
  proxy.stop();
  await server.drop();
});

const breakAll = (): void => {
  proxy.cut();
  proxy.heal();
};
/** What they wait for ends in an error, or not at all: then after a second. */
const endOf = (work: PromiseLike<unknown>): Promise<string> =>
  Promise.race([
    Promise.resolve(work).then(
      () => "in order",
      () => "error",
    ),
    Bun.sleep(3_000).then(() => "never"),
  ]);
const told = async () =>
  (await database.run(() => database.sql`SELECT n FROM told ORDER BY n`)).map(({ n }) => n as number);
/** The pool has all of its connections, soon: so many statements at once, each on one of its own. */
const isWhole = () =>
  eventually(async () => {
    const pids = [1, 2, 3].map(
      async () => (await database.sql`SELECT pg_backend_pid() AS pid, pg_sleep(0.1)`)[0]?.["pid"],
    );
    expect(new Set(await Promise.all(pids)).size).toBe(3);
    expect(await endOf(database.orm.execute("SELECT 1"))).toBe("in order");
  });

const asleep = async (mark: string): Promise<void> => {
  const [row] = await database.sql`SELECT count(*)::int AS count FROM pg_stat_activity
    WHERE application_name = 'lost-connection.test' AND query = ${`SELECT pg_sleep(9) -- ${mark}`} AND state = 'active'`;
  expect(row?.["count"]).toBe(1);
};

describe.each(["sql", "orm"] as const)("a transaction of %s whose connection breaks", (client) => {
  const begin = (work: (run: (text: string) => Promise<unknown>) => Promise<unknown>): Promise<string> =>
    endOf(
      client === "sql"
        ? database.run(() => database.sql.begin((tx) => work((text) => Promise.resolve(tx.unsafe(text)))))
        : database.query(() => database.orm.transaction((tx) => work((text) => Promise.resolve(tx.execute(text))))),
    );

  test("during a statement ends in an error", async () => {
    const ended = begin((run) => run(`SELECT pg_sleep(9) -- ${client}`));
    await eventually(() => asleep(client));
    breakAll();
    expect(await ended).toBe("error");
    await Bun.sleep(50);
    await isWhole();
  });

  test("between two statements runs none of the others elsewhere", async () => {
    await database.sql`TRUNCATE told`;
    const mayGoOn = Promise.withResolvers<void>();
    const hasBegun = Promise.withResolvers<void>();
    let second: Promise<string> | undefined;
    const ended = begin(async (run) => {
      await run("INSERT INTO told VALUES (1)");
      hasBegun.resolve();
      await mayGoOn.promise;
      second = endOf(run("INSERT INTO told VALUES (2)"));
      await second;
    });
    await hasBegun.promise;
    breakAll();
    expect(await ended).toBe("error");
    // Every connection has been opened again by now.
    await isWhole();
    mayGoOn.resolve();
    await eventually(() => expect(second).toBeDefined());
    expect(await second).toBe("error");
    expect(await told()).toEqual([]);
    await isWhole();
  });
});

test("a lock whose connection breaks is given up, and taken again on a new one", async () => {
  const hasBegun = Promise.withResolvers<void>();
  const mayEnd = Promise.withResolvers<void>();
  const lock = (work: () => Promise<void>) => endOf(withHousekeepingLock(database, work));
  const ended = lock(async () => {
    hasBegun.resolve();
    await mayEnd.promise;
  });
  await hasBegun.promise;
  breakAll();
  await Bun.sleep(50);
  mayEnd.resolve();
  expect(await ended).toBe("error");
  await isWhole();
  let isTaken = false;
  await eventually(async () => {
    await lock(() => Promise.resolve(void (isTaken = true)));
    expect(isTaken).toBe(true);
  });
});

test("connections that nothing comes through any more are given up, and what comes next finds new ones", async () => {
  const url = new URL(server.url);
  url.port = String(proxy.port);
  const apart = openDatabase({
    url: url.href,
    clock,
    connectionsMax: 3,
    queryTimeoutMs: 1_000,
    queriesMax: 100,
    applicationName: "lost-connection.test",
  });
  const ask = (count: number) =>
    Promise.allSettled(
      Array.from({ length: count }, () => apart.run(async () => (await apart.sql`SELECT pg_sleep(0.1)`).length)),
    );
  const answered = Array.from({ length: 4 }, () => ({ status: "fulfilled" as const, value: 1 }));
  await eventually(async () => expect(await ask(4)).toEqual(answered));
  proxy.clog();
  expect((await ask(4)).map(({ status }) => status)).toEqual(Array.from({ length: 4 }, () => "rejected"));
  await eventually(async () => expect(await ask(4)).toEqual(answered));
  await apart.close();
  breakAll();
});

// On a real stream, of which any answer can be lost, and a Postgres that can be away.

import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { openDatabase } from "../../src/db/database.ts";
import { migrateDatabase } from "../../src/db/migrate.ts";
import { createDatabase, dropDatabase } from "../../src/dev/create-database.ts";
import { anyFreePort } from "../../src/dev/ports.ts";
import { ManualClock, systemClock } from "../../src/lib/clock.ts";
import { type EnsuredStream, StreamKeeper } from "../../src/publish/stream-keeper.ts";
import type { NatsLink } from "../../src/stream/connection.ts";
import { type Rows, startRows } from "../db/rows.ts";
import { connected } from "../stream/servers.ts";
import { eventually, type TestNats, testNats } from "../support/services.ts";

let rows: Rows;
let nats: TestNats;
let link: NatsLink;
let connection: NatsConnection;

beforeAll(async () => {
  [rows, nats] = await Promise.all([startRows(), testNats()]);
  ({ link, connection } = await connected(nats.url));
});
afterAll(async () => {
  await link.stop();
  await Promise.all([rows.stop(), nats.stop()]);
});
beforeEach(async () => {
  const manager = await jetstreamManager(connection);
  for await (const stream of manager.streams.list()) await manager.streams.delete(stream.config.name);
});

function keeperOn({ database = rows.db, of = connection } = {}) {
  const clock = new ManualClock();
  const told: EnsuredStream[] = [];
  const said: { at: number; name: string; fields: object }[] = [];
  const linkOfATest = { connection: of, connectionNumber: 1, listen: () => {} };
  const keeper = new StreamKeeper({
    link: linkOfATest as unknown as NatsLink,
    database,
    clock,
    observe: (name, fields) => void said.push({ at: clock.monotonic(), name, fields }),
    replicas: 1,
  });
  keeper.onEnsured((ensured) => told.push(ensured));
  return { keeper, link: linkOfATest, clock, told, said };
}

/** The connection, but for its n-th request, of which `answer` comes. */
function losing(n: number, answer = () => Promise.reject(new Error("timeout"))) {
  let requests = 0;
  const of = new Proxy(connection, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (name === "request" && ++requests === n) return answer;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return { of, hasLost: () => requests >= n };
}

test("whichever of its questions is not answered, it asks again, and whoever listens is told of the stream", async () => {
  for (let n = 1, hasLost = true; hasLost; n += 1) {
    const lossy = losing(n);
    const { keeper, clock, told, said } = keeperOn(lossy);
    await keeper.start();
    await eventually(() => {
      clock.advance(500);
      expect(told).toHaveLength(1);
    });
    await keeper.stop();
    hasLost = lossy.hasLost();
    const troubles = said.filter(({ name }) => name === "stream.unavailable");
    if (hasLost) expect(troubles).toMatchObject([{ fields: { error: "timeout", setting: "NATS_URL" } }]);
    // Two dozen consumers are made when there are none.
    if (!hasLost) expect(n).toBeGreaterThan(5);
  }
});

test("that Postgres is away is said as such, once in ten seconds, with the setting to look at", async () => {
  const database = openDatabase({
    url: `postgres://somebody:secret@127.0.0.1:${await anyFreePort()}/nowhere`,
    clock: systemClock,
    connectionsMax: 1,
    queryTimeoutMs: 1_000,
    queriesMax: 10,
    applicationName: "test",
  });
  const { keeper, clock, told, said } = keeperOn({ database });
  await keeper.start();
  await eventually(() => {
    clock.advance(500);
    expect(said).toHaveLength(2);
  });
  await keeper.stop();
  await database.close();
  expect(told).toHaveLength(0);
  expect(said[0]).toMatchObject({ name: "postgres.unavailable", fields: { setting: "DATABASE_URL" } });
  expect(JSON.stringify(said)).toContain("ECONNREFUSED");
  expect(JSON.stringify(said)).not.toContain("secret");
  expect((said[1]?.at ?? 0) - (said[0]?.at ?? 0)).toBeGreaterThanOrEqual(10_000);
});

test("that a database is not migrated is said with what to do, and found out when it is", async () => {
  const url = new URL(rows.server.url);
  url.pathname = `/empty_${Bun.randomUUIDv7().replaceAll("-", "")}`;
  await createDatabase(rows.server.url, url.pathname.slice(1));
  const database = openDatabase({
    url: url.href,
    clock: systemClock,
    connectionsMax: 2,
    queryTimeoutMs: 5_000,
    queriesMax: 10,
    applicationName: "test",
  });
  const { keeper, clock, told, said } = keeperOn({ database });
  await keeper.start();
  await eventually(() => expect(said).toHaveLength(1));
  expect(said[0]).toMatchObject({ name: "postgres.unavailable", fields: { setting: "DATABASE_URL" } });
  expect(JSON.stringify(said)).toContain("(42P01); the database is not up to date: `bun run migrate`");
  await migrateDatabase(url.href);
  await eventually(() => {
    clock.advance(500);
    expect(told).toHaveLength(1);
  });
  await keeper.stop();
  await database.close();
  await dropDatabase(rows.server.url, url.pathname.slice(1));
});

test("after a reconnection nothing waits for a look at the stream that the break has left without an answer", async () => {
  const lossy = losing(2, () => new Promise<never>(() => {}));
  const { keeper, link: broken, told } = keeperOn(lossy);
  await keeper.start();
  await eventually(() => expect(lossy.hasLost()).toBe(true));
  keeper.look();
  expect(told).toHaveLength(0);
  broken.connectionNumber = 2;
  keeper.look();
  await eventually(() => expect(told).toMatchObject([{ connectionNumber: 2 }]));
  await keeper.stop();
});

import { afterAll, expect, test } from "bun:test";
import { connect } from "@nats-io/transport-node";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import postgres from "postgres";
import { testDatabase, testNats } from "../support/services.ts";

const closing: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const close of closing.toReversed()) await close();
});

test("a test database is fresh and migrated", async () => {
  const [one, other] = await Promise.all([testDatabase(), testDatabase()]);
  closing.push(one.drop, other.drop);
  expect(one.url).not.toBe(other.url);
  const sql = postgres(one.url, { max: 1 });
  closing.push(() => sql.end());
  expect(await sql`SELECT count(*)::int AS users FROM users`).toEqual([{ users: 0 }] as never);
});

test("a killed nats-server comes back on its port with its store, a wiped one without", async () => {
  const nats = await testNats();
  closing.push(nats.stop);
  const publish = async () => {
    const connection = await connect({ servers: nats.url });
    await (await jetstreamManager(connection)).streams.add({ name: "S", subjects: ["s"] });
    await jetstream(connection).publish("s", "hello");
    await connection.close();
  };
  const messages = async () => {
    const connection = await connect({ servers: nats.url });
    try {
      const names = await (await jetstreamManager(connection)).streams.list().next();
      return names.map((stream) => stream.state.messages);
    } finally {
      await connection.close();
    }
  };
  await publish();
  await nats.kill();
  await nats.restart();
  expect(await messages()).toEqual([1]);
  await nats.restart();
  expect(await messages()).toEqual([1]);
  await nats.wipe();
  expect(await messages()).toEqual([]);
});

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Message } from "../../src/domain/delivery.ts";
import { newId, type UserId, type WebhookId } from "../../src/domain/ids.ts";
import { PUBLISHES_OUTSTANDING_BYTES_MAX } from "../../src/domain/limits.ts";
import { ManualClock, sleep, systemClock } from "../../src/lib/clock.ts";
import { WriteWatch } from "../../src/stream/write-watch.ts";
import type { NatsLink } from "../../src/stream/connection.ts";
import { countLanes, deliveryAt, lastSequence } from "../../src/stream/inspect.ts";
import { Publisher } from "../../src/stream/publisher.ts";
import { type Handle, Pull } from "../../src/stream/pull.ts";
import { ensureTopology } from "../../src/stream/topology.ts";
import { TcpProxy } from "../faults/tcp-proxy.ts";
import { eventually, type TestNats, testNats } from "../support/services.ts";
import { connected, messageOf } from "./servers.ts";

let nats: TestNats;
let link: NatsLink;
let connection: NatsConnection;
let publisher: Publisher;

beforeAll(async () => {
  nats = await testNats();
  ({ link, connection } = await connected(nats.url));
  publisher = new Publisher(link, systemClock, new WriteWatch({ clock: systemClock, onSilent: () => {} }));
});
afterAll(async () => {
  await link.stop();
  await nats.stop();
});
beforeEach(async () => {
  const manager = await jetstreamManager(connection);
  await manager.streams.delete("WEBHOOKS").catch(() => {});
  await ensureTopology(connection, 1);
});

const seqOf = async (message: Message) => {
  const published = await publisher.publish(message);
  if (published.kind !== "stored") throw new Error(JSON.stringify(published));
  return published.seq;
};
const publishMany = (count: number, more: Partial<Message> = {}) =>
  Promise.all(Array.from({ length: count }, () => seqOf(messageOf({ webhookId: newId<WebhookId>(), ...more }))));

function pull(batch: () => number = () => 16) {
  const received: Handle[] = [];
  const refused: number[] = [];
  const started = new Pull({
    link,
    consumer: "p03-high",
    clock: systemClock,
    batch,
    onRefused: () => void refused.push(received.length),
    onMessage: (_, handle) => received.push(handle),
  });
  return { pull: started, received, refused, seqs: () => received.map(({ seq }) => seq) };
}

describe("Publisher", () => {
  test("stores a generation once, and another one as well", async () => {
    const message = messageOf();
    const seq = await seqOf(message);
    expect(await seqOf(message)).toBe(seq);
    expect(await seqOf({ ...message, generation: 1 })).toBe(seq + 1);
    expect(await deliveryAt(connection, seq)).toBe(message.deliveryId);
    expect(await deliveryAt(connection, seq + 7)).toBe(undefined);
    expect(await lastSequence(connection)).toBe(seq + 1);
  });

  test("says that a lane is full, and stores other lanes still", async () => {
    const [webhookId, userId] = [newId<WebhookId>(), newId<UserId>()];
    await publishMany(64, { webhookId, userId });
    expect(await publisher.publish(messageOf({ webhookId, userId }))).toEqual({ kind: "subject_full" });
    await seqOf(messageOf({ webhookId, userId, priority: "normal" }));
    const lanes = await countLanes(connection, 3);
    expect(lanes.toSorted((a, b) => a.messages - b.messages)).toEqual([
      { webhookId, priority: "normal", messages: 1 },
      { webhookId, priority: "high", messages: 64 },
    ]);
    expect(await countLanes(connection, 4)).toEqual([]);
  });

  test("holds only so many bytes for a server that takes none, and none of a connection that has broken", async () => {
    const proxy = await TcpProxy.to(nats.port);
    const apart = await connected(`nats://127.0.0.1:${proxy.port}`);
    const clock = new ManualClock();
    const clogged = new Publisher(apart.link, clock, new WriteWatch({ clock, onSilent: () => {} }));
    proxy.clog();
    const payload = "x".repeat(256 * 1024);
    const publish = (count: number) =>
      Array.from({ length: count }, () => clogged.publish(messageOf({ webhookId: newId<WebhookId>(), payload })));
    const fit = PUBLISHES_OUTSTANDING_BYTES_MAX / payload.length;
    const waiting = publish(fit);
    const refused = { kind: "failed", reason: "too much outstanding" } as const;
    expect(await Promise.all(publish(10))).toEqual(Array.from({ length: 10 }, () => refused));
    expect(clogged.outstanding).toBe(fit);
    clock.advance(6_000);
    expect(new Set((await Promise.all(waiting)).map(({ kind }) => kind))).toEqual(new Set(["failed"]));
    // Nobody waits for them any more, but the connection still holds them.
    expect(await Promise.all(publish(1))).toEqual([refused]);
    proxy.cut();
    await eventually(() => expect(apart.link.connection).toBeUndefined());
    proxy.heal();
    await eventually(() => expect(apart.link.connection).toBeDefined());
    expect((await Promise.all(publish(2))).map(({ kind }) => kind)).toEqual(["stored", "stored"]);
    await apart.link.stop();
    proxy.stop();
  });

  test("without a stream it fails, and says so", async () => {
    await (await jetstreamManager(connection)).streams.delete("WEBHOOKS");
    expect((await publisher.publish(messageOf())).kind).toBe("failed");
    expect(publisher.outstanding).toBe(0);
  });
});

describe("Pull", () => {
  test("an exact stop: what the server handed out was received, and nothing of it is missed", async () => {
    const seqs = await publishMany(300);
    const first = pull(() => 32);
    await eventually(() => expect(first.received.length).toBeGreaterThan(20));
    await first.pull.stop();
    const info = await (await jetstreamManager(connection)).consumers.info("WEBHOOKS", "p03-high");
    expect(info.num_ack_pending).toBe(first.received.length);
    expect(info.num_waiting).toBe(0);
    expect(new Set(first.seqs()).size).toBe(first.received.length);
    for (const handle of first.received) handle.nak(0);
    const second = pull();
    await eventually(() => expect(new Set(second.seqs()).size).toBe(300));
    expect(new Set(second.seqs())).toEqual(new Set(seqs));
    await second.pull.stop();
  });

  test("a nak comes again after its delay, counted, and an ack never", async () => {
    const [acked, naked] = await publishMany(2);
    const one = pull();
    await eventually(() => expect(one.received).toHaveLength(2));
    const before = performance.now();
    for (const handle of one.received) {
      if (handle.seq === acked) handle.ack();
      else handle.nak(500);
    }
    await eventually(() => expect(one.received).toHaveLength(3));
    expect(performance.now() - before).toBeGreaterThanOrEqual(450);
    expect(one.received[2]).toMatchObject({ seq: naked, deliveryCount: 2 });
    expect(Math.abs((one.received[2]?.storedAt ?? 0) - systemClock.now())).toBeLessThan(10_000);
    expect(await deliveryAt(connection, acked ?? 0)).toBe(undefined);
    await one.pull.stop();
  });

  test("goes on after the server was killed and restarted, once it is renewed", async () => {
    const one = pull();
    await nats.kill();
    await eventually(() => expect(link.connection).toBe(undefined));
    await nats.restart();
    await eventually(() => expect(link.connection).toBeDefined());
    // Consumers live in memory; who reconnects ensures them (publish/stream-keeper.ts).
    await ensureTopology(connection, 1);
    one.pull.renew();
    const seqs = await publishMany(50);
    await eventually(() => expect(new Set(one.seqs())).toEqual(new Set(seqs)));
    await one.pull.stop();
  });

  test("goes on over another connection, once it is renewed, when the client has given the first one up", async () => {
    const one = pull();
    const first = link.connection;
    await first?.close();
    await eventually(() => {
      if (link.connection === undefined || link.connection === first) throw new Error("no other connection yet");
      connection = link.connection;
    });
    one.pull.renew();
    const seqs = await publishMany(50);
    await eventually(() => expect(new Set(one.seqs())).toEqual(new Set(seqs)));
    for (const handle of one.received) handle.ack();
    const manager = await jetstreamManager(connection);
    await eventually(async () => expect((await manager.streams.info("WEBHOOKS")).state.messages).toBe(0));
    await one.pull.stop();
  });

  test("says that it is refused while its consumer is missing, and goes on with the next one by itself", async () => {
    const one = pull();
    const [seq] = await publishMany(1);
    await eventually(() => expect(one.seqs()).toEqual([seq as number]));
    expect(one.refused).toHaveLength(0);
    await (await jetstreamManager(connection)).consumers.delete("WEBHOOKS", "p03-high");
    await eventually(() => expect(one.refused.length).toBeGreaterThan(0));
    await ensureTopology(connection, 1);
    // The next one knows nothing of what the last one has handed out.
    await eventually(() => expect(one.seqs()).toEqual([seq as number, seq as number]));
    expect(one.received[1]?.deliveryCount).toBe(1);
    await one.pull.stop();
  });

  test("takes it for no refusal that the messages of a request are used up", async () => {
    const sequences = await publishMany(200, { partition: 3 });
    const puller = pull();
    await eventually(() => expect(puller.received).toHaveLength(sequences.length));
    expect(puller.refused).toEqual([]);
    expect(puller.seqs().toSorted((a, b) => a - b)).toEqual(sequences.toSorted((a, b) => a - b));
    puller.pull.abandon();
  });

  test("goes on when less may be on its way than before, and after nothing might", async () => {
    await publishMany(150, { partition: 3 });
    let most = 64;
    const puller = pull(() => most);
    await eventually(() => expect(puller.received.length).toBeGreaterThan(0));
    most = 4;
    await eventually(() => expect(puller.received).toHaveLength(150));
    most = 0;
    // What was asked for before still comes.
    await publishMany(200, { partition: 3 });
    await sleep(systemClock, 200);
    expect(puller.received.length).toBeLessThanOrEqual(150 + 64);
    most = 16;
    await eventually(() => expect(puller.received).toHaveLength(350));
    puller.pull.abandon();
  });

  test("abandoned, it hears nothing more", async () => {
    const one = pull();
    one.pull.abandon();
    await seqOf(messageOf());
    const other = pull();
    await other.pull.stop();
    expect(one.received).toHaveLength(0);
  });
});

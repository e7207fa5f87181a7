// What `nats stream info` and `nats consumer ls` show, read through the client.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { jetstream, jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/transport-node";
import type { NatsLink } from "../../src/stream/connection.ts";
import { ensureTopology, isUnchanged, TopologyConflict } from "../../src/stream/topology.ts";
import { type TestNats, testNats } from "../support/services.ts";
import { connected } from "./servers.ts";

let nats: TestNats;
let links: NatsLink[];
let one: NatsConnection;
let two: NatsConnection;
let manager: JetStreamManager;

beforeAll(async () => {
  nats = await testNats();
  const connections = await Promise.all([connected(nats.url), connected(nats.url)]);
  links = connections.map(({ link }) => link);
  [one, two] = connections.map(({ connection }) => connection) as [NatsConnection, NatsConnection];
  manager = await jetstreamManager(one);
});
afterAll(async () => {
  for (const link of links) await link.stop();
  await nats.stop();
});
beforeEach(async () => {
  for await (const stream of manager.streams.list()) await manager.streams.delete(stream.config.name);
});

/** When both came to be. */
const ensured = async (connection: NatsConnection) => {
  const { streamCreatedAt, bucketCreatedAt } = await ensureTopology(connection, 1);
  return { streamCreatedAt, bucketCreatedAt };
};

const consumersOf = async () => {
  const all = [];
  for await (const consumer of manager.consumers.list("WEBHOOKS")) all.push(consumer);
  return all;
};

describe("ensureTopology", () => {
  test("makes one stream, 24 consumers and a bucket, when two come at once, and nothing new when they come again", async () => {
    const made = await Promise.all([ensured(one), ensured(two)]);
    expect(made[0]).toEqual(made[1]);
    expect(await ensured(one)).toEqual(made[0]);
    expect(await isUnchanged(two, await ensureTopology(two, 1))).toBe(true);
    expect(await consumersOf()).toHaveLength(24);
  });

  test("describes everything", async () => {
    await ensureTopology(one, 1);
    const { config } = await manager.streams.info("WEBHOOKS");
    expect(config).toMatchObject({
      subjects: ["webhooks.*.*.*.*"],
      retention: "workqueue",
      storage: "file",
      discard: "new",
      discard_new_per_subject: true,
      max_msgs_per_subject: 64,
      duplicate_window: 30_000_000_000,
      allow_direct: true,
      num_replicas: 1,
    });
    expect(config.description).toContain("Fairpost");
    expect(config.metadata).toMatchObject({ service: "fairpost" });
    const consumers = await consumersOf();
    expect(consumers.map(({ name }) => name).toSorted()[0]).toBe("p00-high");
    for (const { name, config: consumer } of consumers) {
      const [partition, priority] = name.split("-");
      expect(consumer).toMatchObject({
        durable_name: name,
        filter_subject: `webhooks.${priority}.${partition}.*.*`,
        ack_policy: "explicit",
        ack_wait: 20_000_000_000,
        max_ack_pending: -1,
        max_deliver: -1,
        metadata: { service: "fairpost", partition, priority },
      });
      expect(consumer.backoff).toBe(undefined as never);
      expect(consumer.description).toContain(`${priority} deliveries of partition ${partition}`);
    }
    const bucket = await manager.streams.info("KV_webhook-owners");
    expect(bucket.config.description).toContain("owns");
  });

  test("brings changed settings up to date, and keeps the stream", async () => {
    const made = await ensured(one);
    const { config } = await manager.streams.info("WEBHOOKS");
    await manager.streams.update("WEBHOOKS", { ...config, max_msgs_per_subject: 7, description: "somebody's" });
    await manager.consumers.update("WEBHOOKS", "p05-low", { ack_wait: 5_000_000_000 });
    expect(await ensured(two)).toEqual(made);
    expect((await manager.streams.info("WEBHOOKS")).config.max_msgs_per_subject).toBe(64);
    expect((await manager.consumers.info("WEBHOOKS", "p05-low")).config.ack_wait).toBe(20_000_000_000);
  });

  test("brings a changed bucket of leases up to date, and keeps it and what is in it", async () => {
    const made = await ensured(one);
    const leases = await new Kvm(one).open("webhook-owners");
    await leases.put("p03", "a lease");
    const { config } = await manager.streams.info("KV_webhook-owners");
    const markerTtl = config.subject_delete_marker_ttl;
    await manager.streams.update("KV_webhook-owners", { ...config, description: "somebody's" });
    expect(await ensured(two)).toEqual(made);
    const after = (await manager.streams.info("KV_webhook-owners")).config;
    expect(after).toMatchObject({ description: config.description, num_replicas: 1, max_msgs_per_subject: 1 });
    expect(after.subject_delete_marker_ttl).toBe(markerTtl);
    expect((await leases.get("p03"))?.string()).toBe("a lease");
  });

  test("refuses a stream that cannot be brought up to date, and says what to do", async () => {
    await manager.streams.add({ name: "WEBHOOKS", subjects: ["webhooks.*.*.*.*"], storage: "memory" });
    const refusal = await ensureTopology(one, 1).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(TopologyConflict);
    expect((refusal as Error).message).toMatch(/WEBHOOKS.*cannot be changed.*nats stream rm WEBHOOKS/);
  });

  test("another stream is not the known one", async () => {
    const known = await ensureTopology(one, 1);
    await manager.streams.delete("WEBHOOKS");
    expect(await isUnchanged(one, known)).toBe(false);
    const next = await ensureTopology(one, 1);
    expect(next.streamCreatedAt).not.toBe(known.streamCreatedAt);
    expect(next.bucketCreatedAt).toBe(known.bucketCreatedAt);
  });

  test("a consumer that is missing is noticed, and made again", async () => {
    const known = await ensureTopology(one, 1);
    await manager.consumers.delete("WEBHOOKS", "p05-low");
    expect(await isUnchanged(two, known)).toBe(false);
    await ensureTopology(two, 1);
    expect(await isUnchanged(one, known)).toBe(true);
    expect(await consumersOf()).toHaveLength(24);
  });

  test("the consumers of a release with more partitions go, with their messages, and only those", async () => {
    await ensureTopology(one, 1);
    const { config } = await manager.consumers.info("WEBHOOKS", "p07-low");
    const filter_subject = "webhooks.low.p12.*.*";
    await manager.consumers.add("WEBHOOKS", { ...config, name: "p12-low", durable_name: "p12-low", filter_subject });
    for (const partition of ["p07", "p12"]) await jetstream(one).publish(`webhooks.low.${partition}.a.b`);
    await ensureTopology(two, 1);
    expect((await consumersOf()).map(({ name }) => name)).not.toContain("p12-low");
    const { state } = await manager.streams.info("WEBHOOKS", { subjects_filter: ">" });
    expect(state.subjects).toEqual({ "webhooks.low.p07.a.b": 1 });
  });
});

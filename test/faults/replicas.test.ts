// Three nats-servers: what was made with one copy has three once the setting says so.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsLink } from "../../src/stream/connection.ts";
import { ensureTopology } from "../../src/stream/topology.ts";
import { connected } from "../stream/servers.ts";
import { eventually } from "../support/services.ts";
import { NatsCluster } from "./nats-cluster.ts";

let cluster: NatsCluster;
let link: NatsLink;
beforeAll(async () => {
  cluster = await NatsCluster.start();
  link = (await connected(cluster.url)).link;
});
afterAll(async () => {
  await link.stop();
  await cluster.stop();
});

test("more copies are made of the stream and of the leases, which stay what they are", async () => {
  const connection = link.connection;
  if (connection === undefined) throw new Error("not connected");
  // A cluster that has just started has no leader yet.
  const ensured = async (replicas: number) => {
    const { streamCreatedAt, bucketCreatedAt } = await eventually(
      () => ensureTopology(connection, replicas),
      30_000,
      200,
    );
    return { streamCreatedAt, bucketCreatedAt };
  };
  const made = await ensured(1);
  expect(await ensured(3)).toEqual(made);
  const manager = await jetstreamManager(connection);
  const copies = await Promise.all(
    ["WEBHOOKS", "KV_webhook-owners"].map(async (name) => (await manager.streams.info(name)).config.num_replicas),
  );
  expect(copies).toEqual([3, 3]);
}, 90_000);

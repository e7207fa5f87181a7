// (h) What the number of partitions costs the NATS server: CPU per message, published, pulled and acked, with one durable
// consumer per partition and priority.

import { AckPolicy, jetstream, jetstreamManager, RetentionPolicy } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { EmbeddedNats } from "../../src/dev/embedded-nats.ts";
import { anyFreePort } from "../../src/dev/ports.ts";
import { PRIORITIES } from "../../src/domain/priority.ts";
import { join } from "node:path";
import { cpuSecondsOf } from "./processes.ts";
import type { Rig } from "./rig.ts";

const MESSAGES = 60_000;
const SUBJECTS_PER_CONSUMER = 20;
const WINDOW = 500;

export async function consumers(rig: Rig): Promise<Record<string, unknown>> {
  const results: Record<string, unknown> = {};
  for (const partitions of [2, 4, 8, 16, 32]) {
    results[`${partitions} partitions x 3 priorities`] = await measured(rig, partitions);
  }
  return results;
}

async function measured(rig: Rig, partitions: number): Promise<Record<string, number>> {
  const nats = new EmbeddedNats({
    folder: join(rig.folder, `nats-${partitions}`),
    port: await anyFreePort(),
    logFile: join(rig.folder, `nats-${partitions}.log`),
  });
  await nats.start();
  const connection = await connect({ servers: nats.url });
  const manager = await jetstreamManager(connection);
  const client = jetstream(connection);
  await manager.streams.add({ name: "BENCH", subjects: ["bench.*.*.*"], retention: RetentionPolicy.Workqueue });
  const lanes = Array.from({ length: partitions }, (_, index) => index).flatMap((partition) =>
    PRIORITIES.map((priority) => ({ name: `p${partition}-${priority}`, filter: `bench.${priority}.p${partition}` })),
  );
  for (const { name, filter } of lanes) {
    await manager.consumers.add("BENCH", {
      durable_name: name,
      filter_subject: `${filter}.*`,
      ack_policy: AckPolicy.Explicit,
      max_ack_pending: -1,
      mem_storage: true,
    });
  }
  const cpuBefore = cpuSecondsOf(nats.identity?.pid);
  const startedAt = performance.now();
  let left = MESSAGES;
  const done = Promise.withResolvers<void>();
  const pulls = await Promise.all(
    lanes.map(async ({ name }) => {
      const consumer = await client.consumers.get("BENCH", name);
      return consumer.consume({
        max_messages: 256,
        callback(message) {
          message.ack();
          left -= 1;
          if (left === 0) done.resolve();
        },
      });
    }),
  );
  const body = "x".repeat(300);
  for (let number = 0; number < MESSAGES; number += WINDOW) {
    await Promise.all(
      Array.from({ length: WINDOW }, (_, index) => {
        const lane = lanes[(number + index) % lanes.length] as { filter: string };
        return client.publish(`${lane.filter}.w${index % SUBJECTS_PER_CONSUMER}`, body, { msgID: `${number + index}` });
      }),
    );
  }
  await done.promise;
  const seconds = (performance.now() - startedAt) / 1_000;
  const cpu = cpuSecondsOf(nats.identity?.pid) - cpuBefore;
  for (const pull of pulls) await pull.close();
  await connection.close();
  await nats.stop();
  return {
    perSecond: Math.round(MESSAGES / seconds),
    serverMicrosecondsEach: Math.round((cpu / MESSAGES) * 1e7) / 10,
  };
}

// (e) What a worker's memory is with 10,000 endpoints, and (f) what a large backlog of one account does to the throughput
// of the others.

import { readConfig } from "../../src/config.ts";
import { anyFreePort } from "../../src/dev/ports.ts";
import { createFoundation } from "../../src/foundation.ts";
import { sleep, systemClock as clock } from "../../src/lib/clock.ts";
import { Announcer } from "../../src/publish/announce.ts";
import { acceptBacklog, createAccounts } from "./backlog.ts";
import type { Rig } from "./rig.ts";

/** (e): each endpoint gets one delivery, so that each has its actor, its settings and its connection. */
export async function memory(rig: Rig, endpoints: number): Promise<Record<string, unknown>> {
  return withBacklog(rig, async ({ database, announcer, url }) => {
    const accounts = await createAccounts(database, endpoints / 100, 100, (number) => `${url}${number}`);
    await acceptBacklog(database, accounts, 1, announcer);
    const worker = await rig.worker();
    const idle = rig.memoryOf(worker);
    let most = idle;
    const deadline = clock.monotonic() + 60_000;
    while (clock.monotonic() < deadline) {
      await sleep(clock, 250);
      most = Math.max(most, rig.memoryOf(worker));
      const [pending] = await database.sql`SELECT 1 FROM deliveries WHERE status = 'pending' LIMIT 1`;
      if (pending === undefined) break;
    }
    const after = rig.memoryOf(worker);
    await worker.stop();
    return { endpoints, startMiB: mib(idle), mostMiB: mib(most), afterMiB: mib(after) };
  });
}

/** (f): one account's `waiting` deliveries go to a receiver that takes 4 s, while the others' backlog is drained. */
export async function besideBacklog(rig: Rig, waiting: number): Promise<Record<string, unknown>> {
  return withBacklog(rig, async ({ database, announcer, url }) => {
    const [large] = await createAccounts(database, 1, 1_000, (number) => `${url}slow/${number}`);
    const others = await createAccounts(database, 20, 50, (number) => `${url}${number}`);
    if (large !== undefined) await acceptBacklog(database, [large], Math.ceil(waiting / 1_000), undefined);
    const deliveries = await acceptBacklog(database, others, 60, announcer);
    const worker = await rig.worker();
    const startedAt = clock.monotonic();
    const userIds = others.map(({ userId }) => userId);
    for (;;) {
      await sleep(clock, 100);
      const [pending] = await database.sql`SELECT 1 FROM deliveries
        WHERE user_id = ANY (${userIds}) AND status = 'pending' LIMIT 1`;
      if (pending === undefined) break;
      if (clock.monotonic() - startedAt > 120_000) throw new Error("the others' backlog was not drained in 120 s");
    }
    const seconds = (clock.monotonic() - startedAt) / 1_000;
    const memoryMiB = mib(rig.memoryOf(worker));
    await worker.stop();
    return { waiting, deliveriesOfOthers: deliveries, perSecond: Math.round(deliveries / seconds), memoryMiB };
  });
}

type Tools = {
  database: ReturnType<typeof createFoundation>["database"];
  announcer: Announcer;
  url: string;
};

async function withBacklog<Result>(rig: Rig, work: (tools: Tools) => Promise<Result>): Promise<Result> {
  const port = await anyFreePort();
  const receiver = await rig.spawn(
    "receiver",
    ["test/bench/receiver.ts"],
    rig.environment({ RECEIVER_PORT: String(port) }),
  );
  const { database, link, keeper, outgoing } = createFoundation(readConfig(rig.environment(), "api"), "api", {});
  await link.start();
  await keeper.start();
  while (keeper.ensured === undefined) await sleep(clock, 20);
  const announcer = new Announcer({ outgoing, clock, observe: () => {}, onAccepted: () => {} });
  try {
    return await work({ database, announcer, url: `http://127.0.0.1:${port}/` });
  } finally {
    await outgoing.stop();
    await keeper.stop();
    await link.stop();
    await database.close();
    await receiver.stop();
  }
}

function mib(bytes: number): number {
  return Math.round(bytes / 1_048_576);
}

// (e) What a worker's memory is with 10,000 endpoints, and (f) what a large backlog of one account does to the throughput
// of the others.

import { readConfig } from "../../src/config.ts";
import { anyFreePort } from "../../src/dev/ports.ts";
import { createFoundation } from "../../src/foundation.ts";
import { sleep, systemClock as clock } from "../../src/lib/clock.ts";
import { Announcer } from "../../src/publish/announce.ts";
import { acceptBacklog, createAccounts } from "./backlog.ts";
import { percentile } from "./percentile.ts";
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

const OTHERS_EVENTS = 60;
const ROUNDS = 3;
/** Odd, for there is a median: a fresh worker's rounds differ by a quarter. */
const ROUNDS_ALONE = 7;

/**
 * (f): the others' backlog is drained, again and again, beside an account whose 1,000 receivers take 4 s each, and for
 * which 10,000 deliveries wait, or 1,000,000. Both run in turn, on services of their own, because the machine's speed
 * changes: each round of one is followed by one of the other.
 */
export async function besideBacklog(rig: Rig, otherRig: Rig, waiting: [number, number]): Promise<unknown> {
  return withBacklog(rig, (small) =>
    withBacklog(otherRig, async (large) => {
      const both = [await crowd(rig, small, waiting[0]), await crowd(otherRig, large, waiting[1])] as const;
      const rates: [number[], number[]] = [[], []];
      for (let round = 0; round < ROUNDS; round += 1) {
        for (const index of [0, 1] as const) rates[index].push(await both[index].drainOthers());
      }
      const [few, many] = [Math.max(...rates[0]), Math.max(...rates[1])];
      return {
        beside: waiting,
        perSecond: rates.map((list) => list.map(Math.round)),
        ratioOfTheBest: Math.round((many / few) * 100) / 100,
        memoryMiB: both.map((one) => one.memoryMiB()),
      };
    }),
  );
}

/** The slow account with its backlog, and 20 others; the worker is there only while the others' backlog is drained. */
async function crowd(rig: Rig, { database, announcer, url }: Tools, waiting: number) {
  const [slow] = await createAccounts(database, 1, 1_000, (number) => `${url}slow/${number}`);
  const others = await createAccounts(database, 20, 50, (number) => `${url}${number}`);
  if (slow !== undefined) await acceptBacklog(database, [slow], Math.ceil(waiting / 1_000), undefined);
  const userIds = others.map(({ userId }) => userId);
  let memoryMiB = 0;
  return {
    memoryMiB: () => memoryMiB,
    async drainOthers(): Promise<number> {
      const deliveries = await acceptBacklog(database, others, OTHERS_EVENTS, announcer);
      const worker = await rig.worker();
      const startedAt = clock.monotonic();
      for (;;) {
        await sleep(clock, 100);
        const [pending] = await database.sql`SELECT 1 FROM deliveries
          WHERE user_id = ANY (${userIds}) AND status = 'pending' LIMIT 1`;
        if (pending === undefined) break;
        if (clock.monotonic() - startedAt > 120_000) throw new Error("the others' backlog was not drained in 120 s");
      }
      const seconds = (clock.monotonic() - startedAt) / 1_000;
      memoryMiB = Math.max(memoryMiB, mib(rig.memoryOf(worker)));
      await worker.stop();
      return deliveries / seconds;
    },
  };
}

/** What fairness costs when nobody else is there: one account's backlog, drained by a fair worker and by one that is not. */
export async function alone(rig: Rig): Promise<unknown> {
  return withBacklog(rig, async ({ database, url }) => {
    const [account] = await createAccounts(database, 1, 300, (number) => `${url}${number}`);
    const rates = { fair: [] as number[], unfair: [] as number[] };
    for (let round = 0; round < 2 * ROUNDS_ALONE; round += 1) {
      const kind = round % 2 === 0 ? "fair" : "unfair";
      const deliveries = await acceptBacklog(database, account === undefined ? [] : [account], 150, undefined);
      const worker = await (kind === "fair" ? rig.worker() : rig.unfairWorker());
      const startedAt = clock.monotonic();
      for (;;) {
        await sleep(clock, 50);
        const [pending] = await database.sql`SELECT 1 FROM deliveries WHERE status = 'pending' LIMIT 1`;
        if (pending === undefined) break;
      }
      rates[kind].push(deliveries / ((clock.monotonic() - startedAt) / 1_000));
      await worker.stop();
    }
    const share = percentile(rates.fair, 0.5) / percentile(rates.unfair, 0.5);
    return {
      fairPerSecond: rates.fair.map(Math.round),
      unfairPerSecond: rates.unfair.map(Math.round),
      ratioOfMedians: Math.round(share * 100) / 100,
    };
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
  const announcer = new Announcer({ outgoing, clock, observe: () => {}, onAccepted: () => {}, restMs: () => 0 });
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
